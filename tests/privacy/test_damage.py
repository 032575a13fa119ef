"""One flipped bit anywhere in the file: found, or every record and answer is as it was."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from securefl.errors import LedgerError
from securefl.privacy.chain import Record
from securefl.privacy.events import SampledGaussian
from securefl.privacy.ledger import Ledger, Release, StoredAnswer

EVENT = SampledGaussian(2.0, 1.0, 1)
PAGE = 4096
PAGES = 8
ANSWER = StoredAnswer(b"hash", b"state" * 50, b"reply" * 300)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with something in every table: charges, one done, an answer in flight, a closed round."""
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path, run="run") as ledger:
        for round in (1, 2, 3):
            ledger.intend(Release("5eed" * 16, "run", round % 2, round, 0, EVENT))
        ledger.mark_done("run", 1, 1, 0)
        ledger.store_answer(0, b"context", 3, 2, ANSWER.request_hash, ANSWER.state, ANSWER.reply)
        ledger.forget_before(1, 2)
    assert path.stat().st_size == PAGE * PAGES
    return path


def look(path: Path) -> tuple[tuple[Record, ...], StoredAnswer | None, bool]:
    """What a run reads of the file, and whether it passes a check of the whole."""
    with Ledger.open(path, create=False, run="run") as ledger:
        records = ledger.records()
        try:
            ledger.verify()
            return records, ledger.stored_answer(0, b"context", 3), True
        except LedgerError:
            return records, None, False


def flip(path: Path, bit: int) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        byte = os.pread(handle, 1, bit // 8)[0] ^ (1 << (bit % 8))
        os.pwrite(handle, bytes([byte]), bit // 8)
    finally:
        os.close(handle)


def require_found_or_harmless(path: Path, bits: Iterable[int]) -> int:
    """Flips each bit alone; returns how many flips were found."""
    whole = path.read_bytes()
    records = look(path)[0]
    found = 0
    for bit in bits:
        flip(path, bit)
        try:
            seen, answer, sound = look(path)
        except LedgerError:
            found += 1
        else:
            assert seen == records, f"bit {bit} changed a record unseen"
            assert not sound or answer == ANSWER, f"bit {bit} changed an answer unseen"
            found += not sound
        flip(path, bit)
        assert path.read_bytes() == whole, f"bit {bit}: looking at a damaged file changed it"
    return found


def test_some_flipped_bits_are_found_or_harmless(path: Path) -> None:
    # Another offset every time; a failure names the bit. Most of the file is empty page, so few are found.
    bits = range(random.randrange(443), 8 * PAGE * PAGES, 443)
    assert require_found_or_harmless(path, bits) > len(bits) / 100


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", range(PAGES))
def test_every_flipped_bit_is_found_or_harmless(path: Path, page: int) -> None:
    found = require_found_or_harmless(path, range(8 * PAGE * page, 8 * PAGE * (page + 1)))
    assert found > 0, "the page was meant to hold something"


def test_a_message_of_sqlite_that_quotes_damaged_text_is_a_typed_error(path: Path) -> None:
    statement = b"CREATE TABLE closed (run TEXT NOT NULL"
    start = path.read_bytes().index(statement)
    causes = set()
    for at in range(start, start + len(statement)):
        flip(path, 8 * at + 7)  # no UTF-8 any more
        try:
            Ledger.open(path, run="run").close()
        except LedgerError as error:
            assert "restore it" in str(error)
            assert error.__cause__ is not None
            causes.add(type(error.__cause__.__cause__))
        flip(path, 8 * at + 7)
    assert UnicodeDecodeError in causes
