"""Answers in flight: one per step, ever; forgotten with the round; kept apart by run."""

from __future__ import annotations

from pathlib import Path

import pytest

from securefl.errors import LedgerError, PolicyError
from securefl.privacy.answers import StoredAnswer
from securefl.privacy.ledger import Ledger

CONTEXT, OTHER = b"c" * 32, b"d" * 32


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / "ledger", run="run") as opened:
        yield opened


def answer(ledger: Ledger, client: int = 1, context: bytes = CONTEXT, step: int = 1, round: int = 1) -> None:
    ledger.store_answer(client, context, step, round, b"hash", b"state %d" % step, b"reply")


def test_an_answer_is_found_again_under_exactly_its_client_context_and_step(ledger: Ledger) -> None:
    answer(ledger)
    assert ledger.stored_answer(1, CONTEXT, 1) == StoredAnswer(b"hash", b"state 1", b"reply")
    for client, context, step in ((2, CONTEXT, 1), (1, OTHER, 1), (1, CONTEXT, 2)):
        assert ledger.stored_answer(client, context, step) is None


def test_a_second_answer_to_a_step_is_refused_and_the_first_stays(ledger: Ledger) -> None:
    answer(ledger)
    with pytest.raises(PolicyError, match="one answer per step"):
        ledger.store_answer(1, CONTEXT, 1, 1, b"other", b"other", b"other")
    assert ledger.stored_answer(1, CONTEXT, 1) == StoredAnswer(b"hash", b"state 1", b"reply")


def test_the_latest_state_is_that_of_the_highest_step_in_the_context(ledger: Ledger) -> None:
    assert ledger.latest_state(1, CONTEXT) is None
    for step in (1, 3, 2):
        answer(ledger, step=step)
    assert ledger.latest_state(1, CONTEXT) == b"state 3"
    assert ledger.latest_state(1, OTHER) is None and ledger.latest_state(2, CONTEXT) is None


def test_forgetting_erases_older_rounds_of_one_client_and_closes_them(ledger: Ledger) -> None:
    answer(ledger, round=1)
    answer(ledger, context=OTHER, round=2)
    answer(ledger, client=2, round=1)
    ledger.forget_before(1, 2)
    assert ledger.stored_answer(1, CONTEXT, 1) is None
    assert ledger.stored_answer(1, OTHER, 1) is not None and ledger.stored_answer(2, CONTEXT, 1) is not None
    with pytest.raises(PolicyError, match="left round 1 behind"):
        answer(ledger, round=1)
    ledger.require_open(1, 2)
    ledger.require_open(2, 1)


def test_a_closed_round_stays_closed_whatever_is_forgotten_later_and_after_reopening(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger") as ledger:
        ledger.forget_before(1, 5)
        ledger.forget_before(1, 3)
    with Ledger.open(tmp_path / "ledger") as ledger, pytest.raises(PolicyError):
        ledger.require_open(1, 4)


def test_forgetting_all_erases_and_closes_every_round_that_was_answered(ledger: Ledger) -> None:
    ledger.forget_all(1)
    answer(ledger, round=7)
    ledger.forget_all(1)
    assert ledger.latest_state(1, CONTEXT) is None
    with pytest.raises(PolicyError):
        answer(ledger, context=OTHER, round=7)


def test_forgotten_secrets_are_gone_from_the_file(tmp_path: Path) -> None:
    secret = b"\x13 the self mask seed " * 4000  # long enough to spill into overflow pages
    with Ledger.open(tmp_path / "ledger") as ledger:
        ledger.store_answer(1, CONTEXT, 1, 1, b"", secret, b"")
        assert secret[:100] in (tmp_path / "ledger").read_bytes()
        ledger.forget_before(1, 2)
        assert secret[:20] not in (tmp_path / "ledger").read_bytes()


def test_runs_that_share_a_file_keep_their_answers_apart(tmp_path: Path) -> None:
    with (
        Ledger.open(tmp_path / "ledger", run="a") as one,
        Ledger.open(tmp_path / "ledger", run="b") as two,
    ):
        answer(one, round=9)
        two.forget_before(1, 100)
        assert two.stored_answer(1, CONTEXT, 1) is None and one.stored_answer(1, CONTEXT, 1) is not None
        answer(one, step=2, round=10)
        assert two.latest_state(1, CONTEXT) is None


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE answers SET request_hash = x'00'",
        "UPDATE answers SET state = x'00'",
        "UPDATE answers SET reply = x'00'",
        "UPDATE answers SET reply = 'reply'",
        "UPDATE answers SET round = 2",
    ],
)
def test_a_damaged_answer_is_never_handed_out(ledger: Ledger, damage: str) -> None:
    answer(ledger)
    ledger._database.rows(damage)
    for look in (
        lambda: ledger.stored_answer(1, CONTEXT, 1),
        lambda: ledger.latest_state(1, CONTEXT),
        ledger.verify,
    ):
        with pytest.raises(LedgerError, match="damaged and may not be sent"):
            look()


def test_the_latest_context_of_a_step_and_whether_a_round_has_begun(ledger: Ledger) -> None:
    assert ledger.latest_context(1, 3) is None and not ledger.answered_since(1, 1, 2)
    answer(ledger, step=3, round=1)
    answer(ledger, context=OTHER, step=3, round=1)
    assert ledger.latest_context(1, 3) == OTHER
    assert ledger.answered_since(1, 1, 2) and not ledger.answered_since(1, 1, 3)
    assert not ledger.answered_since(1, 2, 2) and not ledger.answered_since(2, 1, 2)
