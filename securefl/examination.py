"""The exam of a federation on dialogues: its model, or every client's own one, on what the clients held out.

Rules kept here:
- The test dialogues come from the grammar, not from the run: the seed and `Lives` say them again.
- Scores are exact and nothing covers them: they are for the operator of a simulation, on synthetic data.

What this file does NOT do: ask or mark (`securefl.agent`), or train.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from securefl import config as configuration
from securefl import run_directory as folder
from securefl.building import lives_of, tokenizer_of
from securefl.comparison import own_model
from securefl.config import Config
from securefl.data.dialogues import Lives
from securefl.errors import DataError, RunDirectoryError
from securefl.federation.server import State
from securefl.process import Process
from securefl.run import load
from securefl.summary import read_summary

if TYPE_CHECKING:
    from torch import nn

    from securefl.agent.models import LanguageModel, Sheet

_COSTS = ("epsilon", "delta", "privacy_statement", "bytes_up_per_client_per_round")


def examine(
    process: Process, state: State, lives: Lives | None = None, clients: Sequence[int] | None = None
) -> tuple[Sheet, ...]:
    """What the shared model in `state` says for these clients, or with personalisation each one's own model.

    Args:
        process: a process on dialogues.
        state: its state.
        lives: whose dialogues are asked; the config's own by default.
        clients: of those lives; all by default.

    Raises:
        DataError: the data of the process are no dialogues.
    """
    from securefl.agent.models import sit

    config = process.terms.config
    asked, speaker = lives or _lives(config), _speaker(config)
    if config.personalisation is None:
        return sit(speaker(process.module(state)), asked, config.seed, clients)
    sheets: list[Sheet] = []
    for client in range(asked.clients) if clients is None else clients:
        own = own_model(process, state, client)
        module = process.learner.module(state.model if own is None else own)
        sheets += sit(speaker(module), asked, config.seed, [client])
    return tuple(sheets)


def examine_run(out: Path) -> dict[str, object]:
    """The marks of a finished run's shared model, with what the run cost.

    Raises:
        RunDirectoryError: no finished run.
        DataError: its data are no dialogues, or of one client alone.
    """
    from securefl.agent.models import marks, sit

    config = configuration.load(out / folder.CONFIG)
    lives, module, summary = _lives(config), load(out), read_summary(out)
    if summary is None:
        raise RunDirectoryError(f"{out}: expected a finished run, got none; `securefl resume` finishes it")
    sheets = sit(_speaker(config)(module), lives, config.seed)
    return marks(sheets, lives, config.seed) | {key: summary[key] for key in _COSTS}


def _lives(config: Config) -> Lives:
    lives = lives_of(config)
    if lives is None:
        raise DataError(
            f"expected a run with data.kind 'dialogues', got {config.data.kind!r}; the exam asks about "
            "nothing else"
        )
    return lives


def _speaker(config: Config) -> Callable[[nn.Module], LanguageModel]:
    from securefl.agent.models import LanguageModel

    tokens = tokenizer_of(config)
    assert tokens is not None  # noqa: S101 - dialogues need a language model, and the config says so
    return lambda module: LanguageModel(module.model, tokens.tokenizer)
