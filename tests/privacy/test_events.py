"""Events are values: validated, canonical, and refused when unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.errors import PrivacyError
from securefl.privacy.events import (
    DistributedDiscreteGaussian,
    Event,
    SampledGaussian,
    event_from_text,
    event_text,
    releases,
    total,
    worst,
)

SHARED = DistributedDiscreteGaussian(sigma=40.0, shares=3, squared_sensitivity=10_000, length=650)
events = st.builds(
    SampledGaussian,
    noise_multiplier=st.floats(1e-3, 1e6),
    sample_rate=st.floats(1e-6, 1.0),
    steps=st.integers(1, 10_000),
) | st.builds(
    DistributedDiscreteGaussian,
    sigma=st.floats(0.5, 1e7),
    shares=st.integers(1, 10_000),
    squared_sensitivity=st.integers(1, 2**62),
    length=st.integers(1, 2**40),
)
few_events = st.sampled_from(
    [SampledGaussian(1.0, 0.2, 5), SampledGaussian(1.0, 0.2, 6), SampledGaussian(2.0, 1, 1), SHARED]
)
pairs = st.lists(st.tuples(few_events, st.integers(0, 9)), max_size=6)


@given(events)
def test_the_text_of_an_event_gives_back_the_same_event(event: Event) -> None:
    assert event_from_text(event_text(event)) == event


def test_an_event_given_as_integers_is_the_same_event() -> None:
    assert SampledGaussian(2, 1, 3) == SampledGaussian(2.0, 1.0, 3)
    assert event_text(SampledGaussian(2, 1, 3)) == event_text(SampledGaussian(2.0, 1.0, 3))


@pytest.mark.parametrize("noise", [0.0, -1.0, math.inf, math.nan, True])
def test_an_event_without_finite_noise_is_refused(noise: float) -> None:
    with pytest.raises(PrivacyError, match="noise_multiplier"):
        SampledGaussian(noise, 0.2, 5)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.0001, math.nan])
def test_a_sample_rate_outside_its_range_is_refused(rate: float) -> None:
    with pytest.raises(PrivacyError, match="sample_rate"):
        SampledGaussian(1.0, rate, 5)


@pytest.mark.parametrize("steps", [0, -3, 1.5, True])
def test_a_number_of_steps_that_is_none_is_refused(steps: int) -> None:
    with pytest.raises(PrivacyError, match="steps"):
        SampledGaussian(1.0, 0.2, steps)


@pytest.mark.parametrize("sigma", [0.0, 0.49, -1.0, math.inf, math.nan, True])
def test_a_share_of_noise_below_half_a_step_is_refused(sigma: float) -> None:
    with pytest.raises(PrivacyError, match="sigma"):
        DistributedDiscreteGaussian(sigma, 3, 100, 10)


@pytest.mark.parametrize("field", ["shares", "squared_sensitivity", "length"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True])
def test_shares_sensitivity_and_length_are_whole_numbers_above_zero(field: str, value: int) -> None:
    with pytest.raises(PrivacyError, match=field):
        replace(SHARED, **{field: value})


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"shuffled_gaussian","noise_multiplier":1.0,"sample_rate":0.2,"steps":5}',
        '{"kind":"sampled_gaussian","noise_multiplier":1.0,"sample_rate":0.2}',
        '{"kind":"sampled_gaussian","noise_multiplier":1.0,"sample_rate":0.2,"steps":5,"free":1}',
        '{"kind":"sampled_gaussian","noise_multiplier":"1.0","sample_rate":0.2,"steps":5}',
        '{"kind": "sampled_gaussian", "noise_multiplier": 1.0, "sample_rate": 0.2, "steps": 5}',
        '{"noise_multiplier":1.0,"sample_rate":0.2,"steps":5}',
        '{"kind":"distributed_discrete_gaussian","sigma":40.0,"shares":3,"squared_sensitivity":100}',
        '{"kind":"distributed_discrete_gaussian","noise_multiplier":1.0,"sample_rate":0.2,"steps":5}',
        '{"kind":["sampled_gaussian"]}',
        "[]",
        "not json",
        "",
    ],
)
def test_text_that_is_no_canonical_known_event_is_refused(text: str) -> None:
    with pytest.raises(PrivacyError):
        event_from_text(text)


def test_an_event_of_an_unknown_class_is_refused() -> None:
    @dataclass(frozen=True)
    class Shuffled:
        noise_multiplier: float = 1.0

    with pytest.raises(PrivacyError, match="unknown privacy event Shuffled"):
        releases([(Shuffled(), 1)])  # type: ignore[list-item]


@pytest.mark.parametrize("count", [-1, 0.5, True])
def test_a_count_that_is_none_is_refused(count: int) -> None:
    with pytest.raises(PrivacyError, match="count"):
        releases([(SampledGaussian(1.0, 0.2, 5), count)])


@given(pairs, st.randoms())
def test_releases_are_the_same_in_any_order_and_grouping(some: list[tuple[Event, int]], random) -> None:
    shuffled = list(some)
    random.shuffle(shuffled)
    assert releases(some) == releases(shuffled) == total(*(releases([pair]) for pair in shuffled))


@given(pairs, pairs)
def test_the_worst_of_two_spendings_covers_each_and_is_covered_by_their_total(
    left: list[tuple[Event, int]], right: list[tuple[Event, int]]
) -> None:
    one, two = releases(left), releases(right)
    both, summed = dict(worst([one, two])), dict(total(one, two))
    for event, count in (*one, *two):
        assert count <= both[event] <= summed[event]
