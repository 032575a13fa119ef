"""What a client still owes: one record per client and run, durable with its reply, erased at the end."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from securefl.errors import LedgerUnusable
from securefl.privacy.ledger import Ledger
from securefl.privacy.unsent import Unsent

ONE, TWO = Unsent(b"h" * 32, b"before", b"after"), Unsent(b"i" * 32, b"after", b"later")


def test_the_latest_record_of_a_client_is_kept_apart_by_run_and_survives(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger", run="run") as ledger:
        assert ledger.unsent(1) is None
        ledger.keep_unsent(1, ONE)
        ledger.keep_unsent(1, TWO)
    with Ledger.open(tmp_path / "ledger", run="run", create=False) as again:
        assert again.unsent(1) == TWO
        assert again.unsent(2) is None
        again.verify()
    with Ledger.open(tmp_path / "ledger", run="other", create=False) as other:
        assert other.unsent(1) is None


def test_a_transaction_that_fails_leaves_what_was_owed_before(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger", run="run") as ledger:
        ledger.keep_unsent(1, ONE)
        with pytest.raises(KeyboardInterrupt), ledger.transaction():
            ledger.keep_unsent(1, TWO)
            raise KeyboardInterrupt
        assert ledger.unsent(1) == ONE


def test_it_is_erased_with_the_clients_answers(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger", run="run") as ledger:
        ledger.keep_unsent(1, Unsent(b"h" * 32, b"before", b"what nobody else may read"))
        ledger.keep_unsent(2, ONE)
        ledger.forget_all(1)
        assert ledger.unsent(1) is None
        assert ledger.unsent(2) == ONE
    assert b"what nobody else may read" not in (tmp_path / "ledger").read_bytes()


@pytest.mark.parametrize("column", ["heard", "before", "after", "digest"])
def test_damage_is_found(tmp_path: Path, column: str) -> None:
    with Ledger.open(tmp_path / "ledger", run="run") as ledger:
        ledger.keep_unsent(1, ONE)
    with sqlite3.connect(tmp_path / "ledger") as raw:
        raw.execute(f"UPDATE unsent SET {column} = x'00'")  # noqa: S608 - a literal above
    with (
        Ledger.open(tmp_path / "ledger", run="run", create=False) as ledger,
        pytest.raises(LedgerUnusable, match="still owes is damaged"),
    ):
        ledger.verify()
