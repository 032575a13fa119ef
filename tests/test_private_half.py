"""fedsa in whole runs: A is averaged, B stays at its client, is in no message, survives being killed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from securefl import config as configuration
from securefl import run as runs
from securefl.attacks import named_attack, poisoned
from securefl.building import build_federated_averaging, build_learner, load_dataset, local_update
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.errors import ConfigError
from securefl.export import export
from securefl.federation import Stopwatch
from securefl.federation.private_half import PrivateHalf
from securefl.guarantee import card, settle
from securefl.training import Learner
from securefl.training.flat import trainable
from tests.test_comparison import tapped
from tests.test_run import SEED, play

pytest.importorskip("peft", reason="language models need the extra `lora`")

from tests.test_language_runs import counting  # noqa: F401 - a fixture, which needs the extra

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

Make = Callable[..., Config]
FEDSA = ("model.lora.method=fedsa", "personalisation={kind: private_half, held_out: 0.3}")
NONE = "privacy={unit: none}"
CLIENT = (
    "privacy={unit: client, noise: distributed, epsilon: 8.0, delta: 1e-3, spare_releases: 1}",
    "secure_aggregation={group_size: 6, threshold: 5, clip_norm: 0.5, bits: 16, epoch_rounds: 3}",
)


def test_the_masked_mean_of_a_is_exact_and_the_servers_b_stays_zero(
    counting: Make,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[np.ndarray] = []
    train = PrivateHalf.train
    monkeypatch.setattr(PrivateHalf, "train", lambda self, *said: sent.append(train(self, *said)) or sent[-1])
    config = counting(*FEDSA, NONE, "robust={rule: mean, max_malicious: 0}", "secure_aggregation.bits=24")
    with build_federated_averaging(config, randomness=SeededRandomness(b"fedsa")) as process:
        state = process.initialize()
        turns, names = process.terms.turns, trainable(process.module(state))
        assert turns is not None
        first = np.concatenate([np.full(each.numel(), ".lora_A." in name) for name, each in names])
        assert np.array_equal(turns.of(1), np.flatnonzero(first))
        assert np.array_equal(turns.at_home, np.flatnonzero(~first))
        for _ in range(2):
            before, sent[:] = state.model, []
            state, _ = process.next(state)
            # 24 bits of a clip of 1, rounded at six clients, and float32 sums of values below 1.
            assert np.allclose(state.model[first] - before[first], sum(sent) / 6, atol=1e-6)
            assert not state.model[~first].any()
        assert all(one.any() for one in sent)
        halves = [one.beside(state.model) for one in process.personal.values()]
    assert len({one.tobytes() for one in halves if one is not None}) == 6
    assert all(one is not None and one[~first].any() for one in halves)


def test_a_private_half_never_enters_a_message(counting: Make, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Worlds that differ in what the clients' B became alone: every byte that is sent is the same.

    One round: in the next, A's gradients hang on B, which is why unit example is refused.
    """
    config, sent, kept = counting(*FEDSA, NONE, "server.rounds=1"), [], []
    train = Learner.train
    for moved in (0.0, 3.0):
        with build_federated_averaging(config, randomness=SeededRandomness(b"wire"), run="one") as process:
            turns = process.terms.turns
            assert turns is not None
            assert process.terms.encoding.dim == turns.dim - len(turns.at_home)
            elsewhere = np.isin(np.arange(turns.dim), turns.at_home) * moved
            monkeypatch.setattr(
                Learner, "train", lambda self, *said, away=elsewhere: train(self, *said) + away
            )
            said: list[bytes] = []
            process._exchange = tapped(process.engine, said)
            state, _ = process.next(process.initialize())
            sent.append(said)
            kept.append([one.beside(state.model) for one in process.personal.values()])
    assert len(sent[0]) > 6 * 3
    assert sent[0] == sent[1]
    assert not any(np.array_equal(one, other) for one, other in zip(*kept, strict=True))


def test_whole_clients_are_protected_and_compared_and_no_adapter_is_exported(
    counting: Make,  # noqa: F811
    tmp_path: Path,
) -> None:
    summary = runs.run(counting(*FEDSA, *CLIENT), tmp_path / "run")
    found = summary["personalisation"]
    assert isinstance(found, dict)
    assert found["kind"] == "private_half"
    assert len(found["personal"]["clients"]) == 6
    epsilon = summary["epsilon"]
    assert isinstance(epsilon, float)
    assert 0 < epsilon <= 8
    assert len(list((tmp_path / "run" / "personal").iterdir())) == 6
    with pytest.raises(ConfigError, match="A alone adds nothing to the base"):
        export(tmp_path / "run", tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def test_the_card_says_what_a_shared_half_is_and_is_not(counting: Make) -> None:  # noqa: F811
    config = counting(*FEDSA, *CLIENT)
    text = card(settle(config, load_dataset(config))).markdown()
    assert "travel and the others stay at home" in text
    assert "that alone adds nothing" in text
    assert "Personal models" in text


def test_halves_are_refused_where_nothing_keeps_them(counting: Make) -> None:  # noqa: F811
    config = counting(*FEDSA, NONE)
    dataset = load_dataset(config)
    terms = settle(config, dataset)
    learner, _ = build_learner(terms)
    with pytest.raises(ConfigError, match="contributions need nothing of a client's own"):
        local_update(terms, 0, SeededRandomness(b"u"), learner, Stopwatch())
    with pytest.raises(ConfigError, match="got a module of yours"):
        settle(config, dataset, dim=math.prod((3, 4)))


def test_attackers_that_train_again_as_others_refuse_halves(counting: Make) -> None:  # noqa: F811
    config = counting(*FEDSA, NONE)
    with pytest.raises(ConfigError, match=r"keep half of it.*leave secure_aggregation\.subsample and pers"):
        build_federated_averaging(config, poisoned(config, named_attack("sign_flip"), 1))


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_halves(counting: Make, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "config.yaml"
    file.write_text(configuration.dump(counting(*FEDSA, *CLIENT)))
    whole = tmp_path / "whole"
    runs.run(configuration.load(file), whole, randomness=SeededRandomness(SEED))
    for kill_at in (3, 5, 9, 11):
        broken = tmp_path / f"broken{kill_at}"
        assert play(broken, kill_at, file) == -9
        runs.resume(broken, randomness=SeededRandomness(SEED))
        for client in range(6):
            one = (whole / "personal" / f"{client}.safetensors").read_bytes()
            assert (broken / "personal" / f"{client}.safetensors").read_bytes() == one
