"""Attackers in real runs: put in from outside, under masks and without."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

import securefl
from securefl.attacks import (
    ATTACKS,
    Attack,
    Capability,
    Placement,
    View,
    judge_of,
    named_attack,
    placed,
    poisoned,
)
from securefl.attacks.omniscient import OMNISCIENT
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.encoding import FixedPoint
from securefl.errors import ConfigError
from securefl.federation import Client
from securefl.federation.client import Party
from securefl.process import Metrics, Process
from securefl.robust import OwnRule

Make = Callable[..., Config]
OPEN = ("privacy={unit: none}", "secure_aggregation.epoch_rounds=100")


def played(process: Process) -> tuple[np.ndarray, list[Metrics]]:
    state, seen = process.initialize(), []
    while not process.finished(state):
        state, metrics = process.next(state)
        seen.append(metrics)
    return state.model, seen


def model_of(config: Config, attack: Attack | None = None, attackers: int = 1) -> np.ndarray:
    clients = None if attack is None else poisoned(config, attack, attackers)
    with securefl.build_federated_averaging(
        config, clients, randomness=SeededRandomness(b"a"), run="test"
    ) as process:
        return played(process)[0]


def test_without_attackers_the_seats_change_no_bit(small: Make) -> None:
    assert model_of(small(), named_attack("foe"), 0).tobytes() == model_of(small()).tobytes()


def test_attackers_keep_up_with_a_clip_that_moves(small_client_level: Make) -> None:
    clips: list[float] = []

    def craft(view: View) -> np.ndarray:
        clips.append(view.clip_norm)
        return np.full(650, view.clip_norm)

    config = small_client_level("privacy.adaptive_clip={}")
    clients = poisoned(config, Attack("test", OMNISCIENT, "2020", begin=lambda: craft), 1)
    # Replayed: a clip that goes down and up again is where it was.
    source = SeededRandomness(b"a")
    with securefl.build_federated_averaging(config, clients, randomness=source, run="test") as process:
        _, seen = played(process)
    assert clips == [metrics.record.clip for metrics in seen]
    assert len(set(clips)) == 3


@pytest.mark.parametrize("masking", ["true", "false"])
def test_attackers_who_see_all_set_their_groups_mean_under_masks_and_without(
    small: Make, masking: str
) -> None:
    target, rows = np.linspace(-0.4, 0.4, 650), []

    def craft(view: View) -> np.ndarray:
        rows.append(view.rows())
        return target

    attack = Attack("test", OMNISCIENT, "2020", begin=lambda: craft)
    config = small(
        *OPEN,
        f"secure_aggregation.masking={masking}",
        "robust={rule: median, max_malicious: 1, norm_guard: false}",
        "server.rounds=1",
    )
    with securefl.build_federated_averaging(config, poisoned(config, attack, 1)) as process:
        step = process.terms.encoding.step
        start = process.initialize().model
        model, _ = played(process)
    middle = np.median(np.vstack([rows[0], target]), axis=0)
    assert rows[0].shape == (2, 650), "the two groups without an attacker"
    # One rounding step per member, averaged over the group; the model is float32.
    assert np.abs(model - start - middle).max() <= step + 1e-6


class Witness:
    """Passes everything on and remembers the honest rows of each round."""

    def __init__(self, clients: Mapping[int, Party]) -> None:
        self.coalition = clients[0].coalition
        self.rows: list[np.ndarray] = []
        self._words = self.coalition.words
        self.coalition.words = self.words

    def words(self, client: int, model: bytes, round: int) -> np.ndarray:
        words = self._words(client, model, round)
        self.rows[round - 1 :] = [self.coalition.honest_rows()]
        return words


@pytest.mark.parametrize("masking", ["true", "false"])
@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_runs_in_a_real_federation_and_the_trim_keeps_it_inside_the_honest_rows(
    small: Make, name: str, masking: str
) -> None:
    # The claim is Yin et al.'s: with f = 1 each coordinate of a step lies inside the honest group means.
    config = small(
        *OPEN,
        f"secure_aggregation.masking={masking}",
        "robust.norm_guard=false",
        "server.rounds=2",
        "server.weights={kind: examples, cap: 150}",
    )
    witnesses = []

    def watched(honest: Mapping[int, Client]) -> Mapping[int, Party]:
        clients = poisoned(config, named_attack(name), 1)(honest)
        witnesses.append(Witness(clients))
        return clients

    with securefl.build_federated_averaging(config, watched) as process:
        state, encoding = process.initialize(), process.terms.encoding
        for round in (1, 2):
            after, metrics = process.next(state)
            assert metrics.record.status == "done"
            rows, change = witnesses[0].rows[round - 1], after.model - state.model.astype(np.float64)
            # Rounding: a step per member, magnified by cap over the smallest weight total (99 per client).
            slack = encoding.step * encoding.cap / 99 + 1e-6
            assert (change >= rows.min(axis=0) - slack).all()
            assert (change <= rows.max(axis=0) + slack).all()
            state = after


def test_a_repeated_attempt_is_trained_and_overheard_afresh(small: Make) -> None:
    seen: list[np.ndarray] = []

    def craft(view: View) -> np.ndarray:
        seen.append(view.rows())
        return np.full(650, 9.0)  # beyond the guard: with f = 0 declared the round is abandoned

    attack = Attack("test", OMNISCIENT, "2020", begin=lambda: craft)
    config = small(*OPEN, "robust={rule: median, max_malicious: 0}", "server.rounds=1")
    with securefl.build_federated_averaging(config, poisoned(config, attack, 1)) as process:
        model, metrics = played(process)
        assert np.array_equal(model, process.initialize().model)
    assert [one.record.status for one in metrics] == ["abandoned"] * 3
    assert not np.array_equal(seen[0], seen[1])


def test_an_adversary_without_the_capabilities_is_refused_before_anything_runs(small: Make) -> None:
    granted = frozenset({Capability.ALTERS_UPDATE})
    poisoned(small(), named_attack("sign_flip"), 1, granted=granted)
    with pytest.raises(
        ConfigError, match=r"attack 'alie' needs colludes, .*sees_all_updates, .*alters_update\)"
    ):
        poisoned(small(), named_attack("alie"), 1, granted=granted)


def test_more_attackers_than_groups_share_a_group(small: Make) -> None:
    config = small(*OPEN, "server.rounds=1", "robust.norm_guard=false")
    attack = Attack("test", OMNISCIENT, "2020", begin=lambda: lambda view: np.full(650, 0.25))
    with securefl.build_federated_averaging(
        config, poisoned(config, attack, 4, placement="together")
    ) as process:
        start = process.initialize().model
        model, _ = played(process)
        step = process.terms.encoding.step
    # Two of three groups are theirs, and a trim of one takes the honest group out.
    assert np.abs(model - start - 0.25).max() <= step + 1e-6


@pytest.mark.parametrize(
    ("attackers", "placement", "expected"),
    [(3, "spread", (0, 1, 2)), (3, "together", (0, 3, 1)), (2, (5, 4), (5, 4)), (0, "spread", ())],
)
def test_placements(attackers: int, placement: Placement, expected: tuple[int, ...]) -> None:
    assert placed(((0, 3), (1, 4), (2, 5)), attackers, placement) == expected


@pytest.mark.parametrize(("attackers", "placement"), [(7, "spread"), (1, (9,)), (2, (1,))])
def test_impossible_placements_are_refused(attackers: int, placement: Placement) -> None:
    with pytest.raises(ConfigError, match="attackers"):
        placed(((0, 3), (1, 4), (2, 5)), attackers, placement)


def test_the_attackers_of_an_attempt_agree_on_one_target_worked_out_once(small: Make) -> None:
    calls: list[int] = []

    def craft(view: View) -> np.ndarray:
        calls.append(view.round)
        return np.full(650, float(len(calls)) / 10)

    attack = Attack("test", OMNISCIENT, "2020", begin=lambda: craft)
    config = small(*OPEN, "server.rounds=2", "robust={rule: median, max_malicious: 1, norm_guard: false}")
    with securefl.build_federated_averaging(config, poisoned(config, attack, 2)) as process:
        start, step = process.initialize().model, process.terms.encoding.step
        model, _ = played(process)
    assert calls == [1, 2]
    # Two of three groups say the same, so the median is theirs: 0.1, then 0.2.
    assert np.abs(model - start - 0.3).max() <= 2 * step + 1e-6


def test_attackers_who_know_the_rule_know_its_guard_and_a_rule_of_the_callers_own(small: Make) -> None:
    rows = np.array([[0.1] * 650, [0.2] * 650, [0.3] * 650, [9.0] * 650])
    encoding = FixedPoint(clip_norm=10.0, bits=16, dim=650, members=3)
    guarded = judge_of(small(), encoding)(rows)
    assert guarded == pytest.approx(0.2), "the long row is excluded and uses up the trim"
    last = OwnRule("last", lambda f: lambda rows, weights: rows[-1].astype(np.float64), lambda f: 1)
    assert judge_of(small("robust.norm_guard=false"), encoding, last)(rows) == pytest.approx(9.0)


def test_attackers_who_know_the_rule_know_the_steps_before_it(small: Make) -> None:
    rows = np.eye(4, 650)
    encoding = FixedPoint(clip_norm=10.0, bits=16, dim=650, members=3)
    clipped = judge_of(small("robust.before=[{kind: clipping, norm: 0.5}]", "robust.rule=mean"), encoding)(
        rows
    )
    assert clipped == pytest.approx(rows.mean(axis=0) / 2)
