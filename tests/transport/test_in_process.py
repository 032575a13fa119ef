"""The in-process exchange: bytes in, bytes out, and a refusal is silence to the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from securefl.errors import BudgetExceeded, DataError, LedgerError, PolicyError
from securefl.federation import Prepared, Stopwatch
from securefl.transport import InProcess


@dataclass
class Store:
    """A store that notes when its transactions begin and end."""

    notes: list[str] = field(default_factory=list)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.notes.append("begin")
        yield
        self.notes.append("end")


@dataclass(frozen=True)
class Party:
    id: int
    store: Store
    refusal: Exception | None = None
    late: Exception | None = None

    def prepare(self, request: bytes) -> Prepared:
        if self.refusal is not None:
            raise self.refusal

        def commit() -> None:
            if self.late is not None:
                raise self.late
            self.store.notes.append(f"commit {self.id}")

        return Prepared(b"%d:%s" % (self.id, request), self.store, commit)  # type: ignore[arg-type]


def test_each_reply_belongs_to_its_request_and_is_durable_before_it_is_handed_over() -> None:
    store = Store()
    exchange = InProcess({client: Party(client, store) for client in (3, 5)})
    assert exchange({5: b"b", 3: b"a"}) == {5: b"5:b", 3: b"3:a"}
    assert store.notes[0] == "begin"
    assert store.notes[-1] == "end"
    assert {"commit 3", "commit 5"} < set(store.notes)
    assert exchange.refusals == {}


@pytest.mark.parametrize("refusal", [PolicyError("no"), BudgetExceeded("no"), DataError("no")])
@pytest.mark.parametrize("when", ["refusal", "late"])
def test_whoever_refuses_is_silent_alone_and_the_operator_learns_why(refusal: Exception, when: str) -> None:
    store = Store()
    bad = Party(1, store, **{when: refusal})  # type: ignore[arg-type]
    exchange = InProcess({0: Party(0, store), 1: bad, 2: Party(2, store)})
    assert exchange(dict.fromkeys((0, 1, 2), b"x")) == {0: b"0:x", 2: b"2:x"}
    assert exchange.refusals == {1: f"{type(refusal).__name__}: no"}


def test_nobody_answers_for_an_id_that_no_party_has() -> None:
    exchange = InProcess({0: Party(0, Store())})
    assert exchange({0: b"x", 9: b"x"}) == {0: b"0:x"}
    assert exchange.refusals == {9: "nobody takes part under this id"}


@pytest.mark.parametrize("when", ["refusal", "late"])
def test_a_ledger_that_cannot_be_written_stops_everybody(when: str) -> None:
    store = Store()
    broken = Party(1, store, **{when: LedgerError("the disk is full")})  # type: ignore[arg-type]
    exchange = InProcess({0: Party(0, store), 1: broken})
    with pytest.raises(LedgerError, match="the disk is full"):
        exchange({0: b"x", 1: b"x"})


def test_closing_and_collecting_need_nothing() -> None:
    exchange, watch = InProcess({}), Stopwatch()
    exchange.collect(watch)
    exchange.close()
    exchange.close()
    assert watch.take() == {}
