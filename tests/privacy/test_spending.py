"""What records add up to: the worst client of each run, summed over runs."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.errors import BudgetExceeded
from securefl.privacy.accountant import epsilon
from securefl.privacy.chain import DONE, INTENT, Record
from securefl.privacy.events import SampledGaussian, event_text, releases, total
from securefl.privacy.spending import Spending, require_within

EVENTS = (SampledGaussian(1.0, 0.2, 5), SampledGaussian(2.0, 1.0, 1))
lines = st.lists(
    st.tuples(st.sampled_from("AB"), st.sampled_from("rs"), st.integers(0, 2), st.sampled_from(EVENTS)),
    max_size=25,
)


def read(entries: list[tuple[str, str, int, SampledGaussian]]) -> Spending:
    spending = Spending("start")
    for number, (source, run, client, event) in enumerate(entries, 1):
        spending.absorb(
            Record(number, INTENT, source, run, client, number, 0, event_text(event), f"{number}")
        )
    return spending


@given(lines)
def test_the_spending_of_a_source_covers_any_choice_of_one_client_per_run(entries) -> None:
    spending = read(entries)
    for source, choice in product("AB", product(range(3), repeat=2)):
        covered = dict(spending.of_source(source))
        chosen = total(*(spending.of_client(source, run, c) for run, c in zip("rs", choice, strict=True)))
        assert all(count <= covered[event] for event, count in chosen)


@given(lines)
def test_with_one_kind_of_event_the_spending_is_that_of_the_worst_choice(entries) -> None:
    spending = read([entry for entry in entries if entry[3] == EVENTS[0]])
    worst = sum(
        max((n for c in range(3) for _, n in spending.of_client("A", run, c)), default=0) for run in "rs"
    )
    assert spending.of_source("A") == releases([(EVENTS[0], worst)])


@given(lines)
def test_leaving_a_run_out_leaves_the_other(entries) -> None:
    without = read([entry for entry in entries if entry[1] != "r"])
    assert read(entries).of_source("A", "r") == without.of_source("A")


def test_a_release_that_is_done_counts_once_and_one_that_is_not_counts_too() -> None:
    spending = read([("A", "r", 0, EVENTS[0]), ("A", "r", 0, EVENTS[0])])
    before = spending.of_source("A")
    spending.absorb(Record(3, DONE, "A", "r", 0, 1, 0, event_text(EVENTS[0]), "3"))
    assert spending.of_source("A") == before == ((EVENTS[0], 2),)
    assert spending.done == {("r", 0, 1, 0)}


def test_a_refusal_names_source_reach_excess_cap_and_what_was_spent_and_advises() -> None:
    event = EVENTS[1]
    require_within("client 3", "f00d" * 16, (), ((event, 1),), 4.0, 1e-5, "pld")
    with pytest.raises(BudgetExceeded) as refusal:
        require_within("client 3", "f00d" * 16, ((event, 1),), ((event, 5),), 4.0, 1e-5, "pld")
    reach, before = (f"{epsilon(((event, count),), 1e-5):.4g}" for count in (5, 1))
    for part in (
        "client 3",
        "f00df00df00d",
        f"epsilon {reach}",
        "above the cap of 4",
        f"before: {before}",
        "Raise",
    ):
        assert part in str(refusal.value)
    assert f"{epsilon(((event, 5),), 1e-5) - 4:.4g} above" in str(refusal.value)
