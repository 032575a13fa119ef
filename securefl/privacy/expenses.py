"""Who spent what: the charges of a ledger as rows for people, with epsilon at a delta of the reader's choice.

Rules kept here:
- Counts are of intents, done or not, as the budget check counts them; epsilon is the accountant's own.
- A row is one kind of event of one run, counted at the client that was charged most for it; the sum of
  a source is `Ledger.spent`: the worst client of each run, over all runs.

What this file does NOT do: charge, check, or know a run's own delta (records do not hold it).
"""

from __future__ import annotations

from dataclasses import dataclass

from securefl.privacy.accountant import epsilon
from securefl.privacy.events import DistributedDiscreteGaussian, Event, Releases, worst
from securefl.privacy.ledger import Ledger


@dataclass(frozen=True)
class Expense:
    """What one run spent on one data source by one kind of event.

    Attributes:
        source: hash of the data source, hex.
        run: id of the run.
        event: what one release cost.
        count: releases charged to the client that was charged most.
        clients: clients that were charged for it.
        epsilon: of `count` such releases alone, at the delta that was asked for.
    """

    source: str
    run: str
    event: Event
    count: int
    clients: int
    epsilon: float


def expenses(ledger: Ledger, delta: float, method: str = "pld") -> tuple[Expense, ...]:
    """The rows of a ledger, in the order in which sources and runs were first charged.

    Raises:
        ConfigError: `delta` or `method` is not usable.
    """
    return tuple(
        row
        for source in ledger.sources()
        for run in ledger.runs(source)
        for row in _of_run(ledger, source, run, delta, method)
    )


def epsilon_by_source(ledger: Ledger, delta: float, method: str = "pld") -> dict[str, float]:
    """What any one example of each source has cost at most, over all runs in the ledger."""
    return {source: _price(ledger.spent(source), delta, method) for source in ledger.sources()}


def _of_run(ledger: Ledger, source: str, run: str, delta: float, method: str) -> list[Expense]:
    clients = ledger.spent_in(source, run)
    rows = []
    for event, count in worst(clients):
        charged = sum(event in dict(spent) for spent in clients)
        rows.append(Expense(source, run, event, count, charged, _price(((event, count),), delta, method)))
    return rows


def _price(spent: Releases, delta: float, method: str) -> float:
    """Epsilon, by RDP where that is the only accountant there is."""
    shared = any(isinstance(event, DistributedDiscreteGaussian) for event, _ in spent)
    return epsilon(spent, delta, "rdp" if shared and method == "pld" else method)
