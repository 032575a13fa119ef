"""The hash chain: no record can change, vanish, appear or move unseen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.errors import LedgerError
from securefl.privacy.chain import INTENT, Record, chained, checked, genesis

START = genesis("identity", True)


def chain(length: int) -> list[Record]:
    records, head = [], START
    for number in range(1, length + 1):
        draft = Record(number, INTENT, "source", "run", number % 3, number, 0, "event", "")
        records.append(replace(draft, digest=chained(head, draft)))
        head = records[-1].digest
    return records


def is_accepted(records: list[Record]) -> bool:
    try:
        return len(list(checked(records, START, 0))) == len(records)
    except LedgerError:
        return False


def test_a_chain_as_written_is_accepted_from_the_start_and_from_any_point() -> None:
    records = chain(5)
    assert list(checked(records, START, 0)) == records
    assert list(checked(records[3:], records[2].digest, 3)) == records[3:]


@given(
    st.integers(0, 4),
    st.sampled_from(["number", "kind", "source", "run", "client", "round", "attempt", "event"]),
)
def test_a_change_to_any_field_of_any_record_is_found(index: int, field: str) -> None:
    records = chain(5)
    old = getattr(records[index], field)
    records[index] = replace(records[index], **{field: old + 1 if isinstance(old, int) else old + "x"})
    assert not is_accepted(records)


@given(st.permutations(range(5)))
def test_only_the_written_order_is_accepted(order: list[int]) -> None:
    records = chain(5)
    assert is_accepted([records[i] for i in order]) == (order == sorted(order))


@given(st.integers(0, 3))
def test_a_removed_or_repeated_record_is_found(index: int) -> None:
    records = chain(5)
    assert not is_accepted(records[:index] + records[index + 1 :])
    assert not is_accepted(records[: index + 1] + records[index:])


def test_chains_of_two_ledgers_or_of_the_two_kinds_share_no_head() -> None:
    heads = {genesis("one", True), genesis("one", False), genesis("two", True), genesis("two", False)}
    assert len(heads) == 4


def test_the_first_record_that_does_not_fit_is_named() -> None:
    records = chain(5)
    records[2] = replace(records[2], client=99)
    with pytest.raises(LedgerError, match="record 3"):
        list(checked(records, START, 0))
