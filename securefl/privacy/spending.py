"""What the records of a ledger add up to, kept while they are read.

Rules kept here: only intents count, and every intent does, done or not. Spending is per source, run and
client; across runs the worst client of each is summed, because an example sits at one client within a
run and may sit at any client in the next.

What this file does NOT do: check the chain (`chain`) or hold the truth: it is a memory of the file.
"""

from __future__ import annotations

from securefl.errors import BudgetExceeded
from securefl.privacy.accountant import epsilon
from securefl.privacy.chain import INTENT, Record
from securefl.privacy.events import Event, Releases, event_from_text, releases, total, worst

ReleaseKey = tuple[str, int, int, int]
"""(run, client, round, attempt): what can be charged once."""


class Spending:
    """A running sum over the records read so far.

    Attributes:
        number: how many records were read.
        head: digest of the last of them, or the genesis.
        intents: the charges by key.
        done: keys of the charges known to have been released.
    """

    def __init__(self, head: str) -> None:
        self.number = 0
        self.head = head
        self.intents: dict[ReleaseKey, Record] = {}
        self.done: set[ReleaseKey] = set()
        self._counts: dict[str, dict[str, dict[int, dict[Event, int]]]] = {}

    def absorb(self, record: Record) -> None:
        """Adds the next record, already checked to be the next."""
        key = (record.run, record.client, record.round, record.attempt)
        if record.kind == INTENT:
            event = event_from_text(record.event)
            clients = self._counts.setdefault(record.source, {}).setdefault(record.run, {})
            counts = clients.setdefault(record.client, {})
            counts[event] = counts.get(event, 0) + 1
            self.intents[key] = record
        else:
            self.done.add(key)
        self.number, self.head = record.number, record.digest

    def sources(self) -> tuple[str, ...]:
        """The data sources that were charged, in the order of their first charge."""
        return tuple(self._counts)

    def runs(self, source: str) -> tuple[str, ...]:
        """The runs that charged `source`, in the order of their first charge."""
        return tuple(self._counts.get(source, {}))

    def by_client(self, source: str, run: str) -> tuple[Releases, ...]:
        """What each client was charged for `source` within one run."""
        clients = self._counts.get(source, {}).get(run, {})
        return tuple(releases(counts.items()) for counts in clients.values())

    def of_client(self, source: str, run: str, client: int) -> Releases:
        """What one client was charged for `source` within one run."""
        return releases(self._counts.get(source, {}).get(run, {}).get(client, {}).items())

    def of_source(self, source: str, excluding: str | None = None) -> Releases:
        """What one example of `source` has cost at most, over all runs but `excluding`.

        Guarantee: at least the charges of any choice of one client per run.
        """
        runs = self._counts.get(source, {})
        return total(*(worst(self.by_client(source, run)) for run in runs if run != excluding))


def require_within(
    who: str, source: str, before: Releases, after: Releases, cap: float, delta: float, method: str
) -> None:
    """Refuses spending `after` where `before` was spent, if it passes `cap`.

    Raises:
        BudgetExceeded: says by how much.
    """
    would_be = epsilon(after, delta, method)
    if would_be <= cap:
        return
    spent = epsilon(before, delta, method)
    raise BudgetExceeded(
        f"{who} would bring data source {source[:12]} to epsilon {would_be:.4g} at delta {delta:g}, "
        f"{would_be - cap:.4g} above the cap of {cap:g}; spent before: {spent:.4g}. Nothing was released. "
        "Raise privacy.budget, lower privacy.epsilon, plan fewer rounds, or use data that is not charged here"
    )
