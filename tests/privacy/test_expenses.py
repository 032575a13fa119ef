"""Who spent what: the rows of a ledger, against the ledger's own sums."""

from __future__ import annotations

from pathlib import Path

import pytest

from securefl.errors import ConfigError
from securefl.privacy import (
    DistributedDiscreteGaussian,
    Ledger,
    Release,
    SampledGaussian,
    epsilon,
    epsilon_by_source,
    expenses,
)

MILD, STRONG = SampledGaussian(2.0, 1.0, 1), SampledGaussian(4.0, 0.2, 5)
DELTA = 1e-6


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        for run, client, round, event in (
            ("first", 0, 1, MILD), ("first", 0, 2, MILD), ("first", 1, 1, MILD),
            ("second", 1, 1, MILD), ("second", 1, 2, STRONG),
        ):  # fmt: skip
            opened.intend(Release("aa", run, client, round, 0, event))
        opened.intend(Release("bb", "first", 7, 9, 0, STRONG))
        yield opened


def test_a_row_counts_the_releases_of_the_client_that_was_charged_most(ledger: Ledger) -> None:
    rows = expenses(ledger, DELTA)
    assert [(row.source, row.run, row.event, row.count, row.clients) for row in rows] == [
        ("aa", "first", MILD, 2, 2),
        ("aa", "second", MILD, 1, 1),
        ("aa", "second", STRONG, 1, 1),
        ("bb", "first", STRONG, 1, 1),
    ]
    assert [row.epsilon for row in rows] == [epsilon(((row.event, row.count),), DELTA) for row in rows]


def test_a_source_is_charged_what_the_budget_check_holds_it_to(ledger: Ledger) -> None:
    sums = epsilon_by_source(ledger, DELTA)
    assert sums == {source: epsilon(ledger.spent(source), DELTA) for source in ("aa", "bb")}
    assert sums["aa"] == epsilon(((MILD, 3), (STRONG, 1)), DELTA)


def test_an_intent_counts_whether_it_is_done_or_not(ledger: Ledger) -> None:
    before = expenses(ledger, DELTA)
    ledger.mark_done("first", 0, 1, 0)
    assert expenses(ledger, DELTA) == before


def test_noise_of_many_clients_is_priced_by_the_accountant_that_knows_it(tmp_path: Path) -> None:
    event = DistributedDiscreteGaussian(sigma=50.0, shares=4, squared_sensitivity=100**2, length=10)
    with Ledger.open(tmp_path / "clients.sqlite") as book:
        book.intend(Release("cc", "first", 0, 1, 0, event))
        priced = epsilon(((event, 1),), DELTA, "rdp")
        assert [row.epsilon for row in expenses(book, DELTA)] == [priced]
        assert epsilon_by_source(book, DELTA) == {"cc": priced}


def test_an_empty_ledger_has_no_rows_and_an_unusable_delta_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "empty.sqlite") as empty:
        assert expenses(empty, DELTA) == () and epsilon_by_source(empty, DELTA) == {}
    with pytest.raises(ConfigError, match="delta must lie between"):
        expenses(ledger, 0.0)
