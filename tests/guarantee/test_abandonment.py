"""The share of abandoned rounds, against closed forms and against the simulation's own vanishings."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from pathlib import Path
from statistics import mean, stdev

import pytest

from securefl import config as configuration
from securefl.config import Config
from securefl.guarantee import abandon_probability
from securefl.robust import rows_needed
from securefl.secagg import Step
from securefl.transport import Dropouts, vanishing

Make = Callable[..., Config]
QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "configs" / "quickstart.yaml"
NO_MASKS = "secure_aggregation={masking: false, group_size: 2, threshold: 1, clip_norm: 1.0}"
RING = (
    "clients=80",
    "robust={rule: mean, max_malicious: 0}",
    "secure_aggregation={group_size: 80, max_dropout: 0.2, clip_norm: 1.0}",
)


def played(config: Config, seed: int) -> float:
    """The share of rounds that the simulation of one seed abandons; groups are dealt in order."""
    dropouts, secagg = Dropouts(config.simulation.dropout, seed), config.secure_aggregation
    groups: list[list[int]] = []
    abandoned = 0
    for round in range(1, config.server.rounds + 1):
        if (round - 1) % secagg.epoch_rounds == 0:
            groups = drawn(config, dropouts, round)
        finished = sum(finishes(config, dropouts, round, group) for group in groups)
        abandoned += finished < rows_needed(config.robust.rule, config.robust.max_malicious)
    return abandoned / config.server.rounds


def drawn(config: Config, dropouts: Dropouts, round: int) -> list[list[int]]:
    left = list(range(config.cohort_size))
    for redraw in range(config.secure_aggregation.max_redraws + 1):
        gone = [client for client in left if step(dropouts, round, redraw, client) == Step.REVEAL]
        if not gone:
            return [left[group :: config.groups] for group in range(config.groups)]
        left = [client for client in left if client not in gone]
    return []


def finishes(config: Config, dropouts: Dropouts, round: int, group: list[int]) -> bool:
    steps = [step(dropouts, round, 0, client) for client in group]
    in_time, to_the_end = (sum(at > last for at in steps) for last in (Step.MASK, Step.UNMASK))
    if not config.secure_aggregation.masking:
        return in_time >= 1
    shape = config.secure_aggregation.shape(len(group))
    least = config.secure_aggregation.shape(config.smallest_group).survivors  # or its members refuse
    return len(group) >= least and in_time >= shape.survivors and to_the_end >= shape.threshold


def step(dropouts: Dropouts, round: int, attempt: int, client: int) -> int:
    gone = vanishing(dropouts, round, attempt, client)
    return Step.UNMASK + 1 if gone is None else gone.step


@pytest.mark.parametrize(
    ("overrides", "seeds"),
    [
        ((), 250),
        pytest.param((), 3000, marks=pytest.mark.slow),
        pytest.param(("secure_aggregation.max_dropout=0.0",), 300, marks=pytest.mark.slow),
        pytest.param(
            ("clients=40", "participation={kind: sample, cohort: 14}", "secure_aggregation.max_redraws=0"),
            300,
            marks=pytest.mark.slow,
        ),
        pytest.param((NO_MASKS, "simulation.dropout=0.4"), 300, marks=pytest.mark.slow),
    ],
)
def test_the_share_of_abandoned_rounds_is_that_of_the_simulations_own_dropouts(
    overrides: tuple[str, ...], seeds: int
) -> None:
    config = configuration.load(QUICKSTART, overrides)
    shares = [played(config, seed) for seed in range(seeds)]
    # Seeds are independent runs: five standard errors of their mean, 0.025 for 250 of quickstart. The
    # binomial estimate that forgets the draw is 0.035 below.
    assert abs(abandon_probability(config) - mean(shares)) < 5 * stdev(shares) / sqrt(seeds)


@pytest.mark.slow
def test_on_a_ring_it_is_an_upper_bound() -> None:
    config = configuration.load(QUICKSTART, [*RING, "secure_aggregation.threshold=null"])
    shares = [played(config, seed) for seed in range(100)]
    assert abandon_probability(config) > mean(shares) - 5 * stdev(shares) / sqrt(100)


def test_where_every_member_and_every_draw_is_needed_it_is_a_power(small: Make) -> None:
    config = small(
        "simulation.dropout=0.1", "secure_aggregation.threshold=3", "secure_aggregation.max_redraws=0"
    )
    # One epoch of three rounds: in the first one dropout of any kind ends it, in the others one in the draw
    # before them does too.
    first, later = 0.9**9, (1 - 0.1 / 6) ** 9 * 0.9**9
    assert abandon_probability(config) == pytest.approx(1 - (first + 2 * later) / 3)


def test_without_dropouts_no_round_is_abandoned_and_with_more_of_them_more_are(small: Make) -> None:
    chances = [abandon_probability(small(f"simulation.dropout={rate}")) for rate in (0.0, 0.1, 0.3, 0.9)]
    assert chances[0] == 0.0
    assert chances == sorted(set(chances))
    assert chances[-1] <= 1.0


def test_a_thousand_clients_are_no_overflow(small: Make) -> None:
    config = small("clients=3000", "robust={rule: mean, max_malicious: 0}", "simulation.dropout=0.001")
    assert 0.0 < abandon_probability(config) < 1.0
