"""The resident model of one process with the terms' local settings, and the personal models beside it.

Rules kept here:
- One base per process: what is frozen in the resident model serves the personal ones too.
- A half of the model that stays at home trains with the half that travels.

What this file does NOT do: train (`securefl.training`), or say who trains when (`securefl.federation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from securefl.building.session import Session
from securefl.federation.optimizer import Vector
from securefl.federation.personal import FOLDER, PersonalModel, file_of
from securefl.federation.private_half import PrivateHalf
from securefl.guarantee import Terms, model_spec

if TYPE_CHECKING:
    from torch import nn

    from securefl.training import Learner, LocalSettings
    from securefl.training.turns import Turns


def build_learner(terms: Terms, model: nn.Module | None = None) -> tuple[Learner, Vector]:
    """The resident model of one process, with the terms' local settings, and its initial flat vector."""
    from securefl.training import LocalSettings, get_vector

    config = terms.config
    training = config.training
    settings = LocalSettings(
        steps=training.local_steps,
        learning_rate=training.learning_rate,
        sample_rate=training.sample_rate,
        expected_batch=training.expected_batch,
        momentum=training.momentum,
        proximal=training.proximal,
        clip_norm=config.privacy.clip_norm,
        noise_multiplier=terms.gradient_noise,
        micro_batch=training.micro_batch,
        gradient_checkpointing=training.gradient_checkpointing,
    )
    module = model or _module(terms)
    # A half that stays at home trains with the other one: what takes turns there is the travelling.
    learner = _learner(terms, module, settings, None if kept_at_home(terms) else terms.turns)
    return learner, get_vector(module)


def personal_models(
    terms: Terms, session: Session, shared: Learner, initial: Vector
) -> dict[int, PersonalModel | PrivateHalf]:
    """The personal model of every client; none without personalisation.

    Args:
        terms: the terms of the run.
        session: the run itself: its folder holds them, its source draws their batches.
        shared: the resident model; what is frozen in it serves the personal ones too.
        initial: its first flat vector.
    """
    from securefl.training import LocalSettings

    personal, training = terms.config.personalisation, terms.config.training
    if personal is None:
        return {}
    paths = {client: file_of(session.home / FOLDER, client) for client in range(len(terms.shares))}
    if personal.kind == "private_half":
        assert terms.turns is not None  # noqa: S101 - the terms are settled
        return {client: PrivateHalf(session.run, path, shared, terms.turns) for client, path in paths.items()}
    settings = LocalSettings(
        steps=personal.local_steps,
        learning_rate=personal.learning_rate,
        sample_rate=training.sample_rate,
        expected_batch=training.expected_batch,
        proximal=personal.pull if personal.kind == "ditto" else 0.0,
        micro_batch=training.micro_batch,
        gradient_checkpointing=training.gradient_checkpointing,
    )
    learner = _learner(terms, shared.module(initial), settings)
    return {
        client: PersonalModel(
            client=client,
            run=session.run,
            path=paths[client],
            trainer=learner,
            examples=terms.dataset.train.take(share),
            randomness=session.source,
        )
        for client, share in enumerate(terms.shares)
    }


def _module(terms: Terms) -> nn.Module:
    from securefl.training import build_model

    data, config = terms.dataset, terms.config
    return build_model(model_spec(config, data.task), data.shape, data.classes, config.seed)


def _learner(terms: Terms, module: nn.Module, settings: LocalSettings, turns: Turns | None = None) -> Learner:
    from securefl.training import TASKS, Learner

    data = terms.dataset
    learner = Learner(module, settings, terms.config.device, TASKS[data.task], turns)
    learner.require(data.shape, data.classes, data.vocabulary)
    return learner


def kept_at_home(terms: Terms) -> bool:
    """Whether a part of the model never travels."""
    return terms.turns is not None and len(terms.turns.at_home) > 0
