"""The ledger: what is charged, what is refused, what survives, and what is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from securefl.errors import BudgetExceeded, LedgerError, PrivacyError
from securefl.privacy import accountant
from securefl.privacy.accountant import epsilon
from securefl.privacy.events import SampledGaussian
from securefl.privacy.ledger import Ledger, Release

EVENT = SampledGaussian(2.0, 1.0, 1)
SOURCE, DELTA = "5eed" * 16, 1e-5


def release(
    client: int = 0, round: int = 1, attempt: int = 0, run: str = "run", source: str = SOURCE
) -> Release:
    return Release(source, run, client, round, attempt, EVENT)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path):
    with Ledger.open(path) as opened:
        yield opened


def test_what_was_charged_is_still_charged_after_reopening(path: Path) -> None:
    with Ledger.open(path) as ledger:
        for round in (1, 2, 3):
            ledger.intend(release(round=round))
    with Ledger.open(path, create=False) as ledger:
        assert ledger.spent(SOURCE) == ((EVENT, 3),) == ledger.spent_by(SOURCE, "run", 0)
        assert ledger.spent("other") == () and ledger.spent_by(SOURCE, "run", 1) == ()


def test_the_same_attempt_is_charged_once_and_a_new_attempt_is_charged_anew(ledger: Ledger) -> None:
    ledger.intend(release())
    with pytest.raises(LedgerError, match=r"client 0 in round 1, attempt 0.*send the stored answer again"):
        ledger.intend(release())
    with pytest.raises(LedgerError):
        ledger.intend(release(source="another"))
    ledger.intend(release(attempt=1))
    ledger.intend(release(client=1))
    ledger.intend(release(run="other"))
    assert ledger.spent_by(SOURCE, "run", 0) == ((EVENT, 2),)


def test_an_intent_counts_whether_it_is_done_or_not(ledger: Ledger) -> None:
    ledger.intend(release())
    ledger.intend(release(round=2))
    ledger.mark_done("run", 0, 1, 0)
    ledger.mark_done("run", 0, 1, 0)
    assert ledger.spent(SOURCE) == ((EVENT, 2),)
    assert [record.kind for record in ledger.records()] == ["intent", "intent", "done"]
    with pytest.raises(LedgerError, match="no charge for client 5"):
        ledger.mark_done("run", 5, 1, 0)


def test_runs_over_the_same_source_add_up_and_clients_of_a_run_do_not(ledger: Ledger) -> None:
    for run, counts in (("a", (3, 1)), ("b", (0, 2))):
        for client, count in enumerate(counts):
            for round in range(count):
                ledger.intend(release(client, round, run=run))
    assert ledger.spent(SOURCE) == ((EVENT, 5),)
    assert ledger.spent(SOURCE, excluding="a") == ((EVENT, 2),)


def test_a_release_over_the_cap_is_refused_by_how_much_and_changes_nothing(ledger: Ledger) -> None:
    cap = epsilon(((EVENT, 3),), DELTA)
    for round in (1, 2, 3):
        ledger.charge(release(round=round), cap, DELTA)
    head = ledger.head()
    excess = epsilon(((EVENT, 4),), DELTA) - cap
    with pytest.raises(BudgetExceeded, match=f"client 0 .*{excess:.4g} above the cap"):
        ledger.check(SOURCE, "run", 0, EVENT, cap, DELTA)
    with pytest.raises(BudgetExceeded):
        ledger.charge(release(round=4), cap, DELTA)
    assert ledger.head() == head
    ledger.check(SOURCE, "run", 1, EVENT, cap, DELTA)


def test_one_client_refused_in_a_shared_transaction_does_not_undo_the_others(ledger: Ledger) -> None:
    cap = epsilon(((EVENT, 1),), DELTA)
    ledger.intend(release(client=0))
    with ledger.transaction():
        ledger.charge(release(client=1), cap, DELTA)
        with pytest.raises(BudgetExceeded), ledger.transaction():
            ledger.charge(release(client=0, round=2), cap, DELTA)
        ledger.charge(release(client=2), cap, DELTA)
    assert [record.client for record in ledger.records()] == [0, 1, 2]
    ledger.verify()


def test_what_other_runs_spent_counts_against_the_cap(ledger: Ledger) -> None:
    cap = epsilon(((EVENT, 3),), DELTA)
    for round in (1, 2):
        ledger.intend(release(client=7, round=round, run="earlier"))
    ledger.charge(release(), cap, DELTA)
    with pytest.raises(BudgetExceeded):
        ledger.charge(release(round=2), cap, DELTA)
    ledger.check("another source", "run", 0, EVENT, cap, DELTA)


def test_a_run_that_cannot_finish_is_refused_before_it_starts(ledger: Ledger) -> None:
    cap = epsilon(((EVENT, 5),), DELTA)
    ledger.intend(release(run="earlier"))
    ledger.check_run(SOURCE, "run", EVENT, 4, cap, DELTA)
    with pytest.raises(BudgetExceeded, match="run 'run' would bring"):
        ledger.check_run(SOURCE, "run", EVENT, 5, cap, DELTA)


def test_a_resumed_run_is_not_charged_twice_for_what_it_planned(ledger: Ledger) -> None:
    cap = epsilon(((EVENT, 4),), DELTA)
    for round in (1, 2, 3):
        ledger.intend(release(round=round))
    ledger.check_run(SOURCE, "run", EVENT, 4, cap, DELTA)


def test_a_transaction_that_fails_leaves_no_trace_in_file_or_memory(ledger: Ledger, path: Path) -> None:
    ledger.intend(release())
    with pytest.raises(ZeroDivisionError), ledger.transaction():
        ledger.intend(release(round=2))
        ledger.store_answer(0, b"c", 1, 2, b"h", b"s", b"r")
        assert ledger.spent(SOURCE) == ((EVENT, 2),)
        raise ZeroDivisionError
    assert ledger.spent(SOURCE) == ((EVENT, 1),)
    assert ledger.stored_answer(0, b"c", 1) is None
    ledger.intend(release(round=2))
    ledger.verify()


def test_two_handles_see_each_others_charges_at_once(ledger: Ledger, path: Path) -> None:
    with Ledger.open(path) as other:
        for round in range(1, 5):
            (ledger if round % 2 else other).intend(release(round=round))
            assert ledger.spent(SOURCE) == other.spent(SOURCE) == ((EVENT, round),)
        assert ledger.head() == other.head()
        with pytest.raises(LedgerError, match="charged before"):
            other.intend(release(round=1))


def test_an_unknown_event_is_refused_before_it_is_written(ledger: Ledger) -> None:
    with pytest.raises(PrivacyError, match="unknown privacy event"):
        ledger.intend(Release(SOURCE, "run", 0, 1, 0, "free of charge"))  # type: ignore[arg-type]
    assert ledger.records() == ()


def test_a_flipped_bit_anywhere_in_a_record_is_noticed(path: Path) -> None:
    with Ledger.open(path) as ledger:
        for round in (1, 2, 3):
            ledger.intend(release(client=4, round=round))
        digest = ledger.records()[1].digest.encode()
    whole = path.read_bytes()
    end = whole.index(digest + b"")
    start = whole.rindex(b"intent" + SOURCE.encode(), 0, end)
    for position in range(start, end + len(digest)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 7)
        path.write_bytes(damaged)
        with pytest.raises(LedgerError):
            Ledger.open(path).close()
    path.write_bytes(whole)
    Ledger.open(path).close()


def test_damage_is_noticed_by_a_ledger_that_is_open(ledger: Ledger) -> None:
    for round in (1, 2):
        ledger.intend(release(round=round))
    ledger.verify()
    ledger._database.rows("UPDATE records SET client = 9 WHERE number = 1")
    with pytest.raises(LedgerError, match="record 1"):
        ledger.verify()


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_cut_tail_is_noticed_by_every_look(ledger: Ledger, kept: int, path: Path) -> None:
    for round in (1, 2, 3):
        ledger.intend(release(round=round))
    ledger._database.rows("DELETE FROM records WHERE number > ?", (kept,))
    with pytest.raises(LedgerError, match="expected 3 records"):
        Ledger.open(path)


def test_an_older_copy_in_place_of_the_file_is_noticed_by_the_head_that_was_kept(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.intend(release())
        old, backup = ledger.head(), path.with_suffix(".old")
        shutil.copy(path, backup)
        ledger.intend(release(round=2))
        head = ledger.head()
        ledger.verify(contains=head)
        ledger.verify(contains=old)
    shutil.copy(backup, path)
    with Ledger.open(path) as ledger, pytest.raises(LedgerError, match="spent budget may be missing"):
        ledger.verify(contains=head)


def test_an_empty_ledger_started_in_place_of_another_has_another_head(path: Path) -> None:
    with Ledger.open(path) as ledger:
        head = ledger.head()
    path.unlink()
    with pytest.raises(LedgerError, match="forget the spent budget"):
        Ledger.open(path, create=False)
    with Ledger.open(path) as ledger, pytest.raises(LedgerError):
        ledger.verify(contains=head)


def test_a_file_swapped_under_an_open_ledger_for_an_older_copy_is_noticed(path: Path) -> None:
    with Ledger.open(path) as ledger:
        old = path.read_bytes()
        ledger.intend(release())
        path.write_bytes(old)
        with pytest.raises(LedgerError):
            ledger.intend(release(round=2))


def test_replayable_and_real_runs_never_share_a_ledger(path: Path) -> None:
    Ledger.open(path, private=False).close()
    with pytest.raises(LedgerError, match="NOT PRIVATE"):
        Ledger.open(path)
    Ledger.open(path, private=False).close()


def test_checking_twelve_clients_over_thirty_rounds_composes_once_per_round(ledger: Ledger) -> None:
    event = SampledGaussian(1.723, 0.2, 5)
    accountant._pld_epsilon.cache_clear()
    for round in range(30):
        with ledger.transaction():
            for client in range(12):
                ledger.check(SOURCE, "run", client, event, 8.0, DELTA)
            for client in range(12):
                ledger.intend(Release(SOURCE, "run", client, round, 0, event))
    # One composition (20 ms) per distinct count and not one for each of 360 checks; counted and not timed,
    # since a busy machine may take any time.
    assert accountant._pld_epsilon.cache_info().misses == 30


def test_a_client_makes_no_more_releases_than_its_run_planned(ledger: Ledger) -> None:
    for round in (1, 2):
        ledger.require_planned(SOURCE, "run", 0, most=2)
        ledger.intend(release(round=round))
    with pytest.raises(BudgetExceeded, match="all 2 releases"):
        ledger.require_planned(SOURCE, "run", 0, most=2)
    ledger.require_planned(SOURCE, "run", 1, most=2)
    ledger.require_planned(SOURCE, "another run", 0, most=2)
