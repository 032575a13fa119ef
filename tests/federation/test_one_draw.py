"""A client and the draws of an epoch: one counts, the last committed in before the first round.

Two processes of one client cannot make it two: what they race for is decided by the lock on its store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import securefl
from securefl.config import Config
from securefl.errors import PolicyError
from securefl.federation import Client
from securefl.federation.client import Prepared, answer_all
from securefl.privacy.ledger import Ledger
from securefl.secagg import Step, split, step_of
from securefl.secagg.messages import CommitRequest, from_bytes, to_bytes

Make = Callable[..., Config]


@dataclass
class Asked:
    """A client that is asked for another draw of its epoch before it answers a step."""

    client: Client
    before: Step
    replies: list[bytes] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    commit: bytes = b""

    @property
    def id(self) -> int:
        return self.client.id

    def prepare(self, request: bytes) -> Prepared:
        step = step_of(split(request)[0]).step
        if step == Step.COMMIT:
            self.commit = request
        if step == self.before and not (self.replies or self.refusals):
            message = from_bytes(self.commit)
            assert isinstance(message, CommitRequest)
            other = to_bytes(replace(message, terms=replace(message.terms, redraw=1)))
            answers = answer_all({self.id: self.client}, {self.id: other})
            self.replies += answers.replies.values()
            self.refusals += answers.refusals.values()
        return self.client.prepare(request)


def play(config: Config, before: Step) -> tuple[str, dict[int, Asked], Mapping[int, str]]:
    parties: dict[int, Asked] = {}

    def ask(honest: Mapping[int, Client]) -> dict[int, Asked]:
        parties.update({client: Asked(one, before) for client, one in honest.items()})
        return parties

    with securefl.build_federated_averaging(config, ask) as process:  # type: ignore[arg-type]
        _, metrics = process.next(process.initialize())
    return metrics.record.status, parties, metrics.record.refusals


def test_once_a_round_has_begun_its_epoch_gets_no_other_draw(small: Make) -> None:
    status, parties, _ = play(small(), Step.SHARE)
    assert status == "done"
    assert all(not one.replies and "has begun" in one.refusals[0] for one in parties.values())


def test_a_draw_that_another_one_followed_begins_no_round(small: Make) -> None:
    status, parties, refusals = play(small(), Step.ADVERTISE)
    assert status == "abandoned"
    assert all(one.replies for one in parties.values())
    assert all("latest draw" in why for why in refusals.values()) and refusals


@pytest.mark.parametrize("change", [{"groups": 1}, {"groups": (1 << 32) - 1}, {"epoch": (1 << 32) - 4}])
def test_a_client_commits_to_no_draw_that_its_config_does_not_name(
    small: Make, change: dict[str, int]
) -> None:
    refused: list[str] = []

    @dataclass
    class Forged:
        client: Client

        @property
        def id(self) -> int:
            return self.client.id

        def prepare(self, request: bytes) -> Prepared:
            message = from_bytes(split(request)[0])
            if isinstance(message, CommitRequest):
                with pytest.raises(PolicyError) as caught:
                    self.client.prepare(to_bytes(replace(message, terms=replace(message.terms, **change))))
                refused.append(str(caught.value))
            return self.client.prepare(request)

    def forge(honest: Mapping[int, Client]) -> dict[int, Forged]:
        return {client: Forged(one) for client, one in honest.items()}

    with securefl.build_federated_averaging(small(), forge) as process:  # type: ignore[arg-type]
        process.next(process.initialize())
    assert len(refused) == small().clients


@dataclass
class Twice:
    """One client as two processes: the second is asked for another draw while the first begins a round.

    Whichever commits first, both have looked at the store before: each alone would have answered.
    """

    client: Client
    second: Client
    other_first: bool
    other: bytes = b""
    refusals: list[str] = field(default_factory=list)
    replies: int = 0

    @property
    def id(self) -> int:
        return self.client.id

    def prepare(self, request: bytes) -> Prepared:
        step = step_of(split(request)[0]).step
        if step == Step.COMMIT:
            message = from_bytes(request)
            assert isinstance(message, CommitRequest)
            self.other = to_bytes(replace(message, terms=replace(message.terms, redraw=1)))
        prepared = self.client.prepare(request)
        if step == Step.ADVERTISE:
            return self._raced(prepared)
        return prepared

    def _raced(self, begun: Prepared) -> Prepared:
        drawn = self.second.prepare(self.other)
        racing = (drawn, begun) if self.other_first else (begun, drawn)
        for one in racing:
            try:
                with one.store.transaction():
                    one.commit()
                self.replies += 1
            except PolicyError as refusal:
                self.refusals.append(str(refusal))
        return replace(begun, commit=lambda: None)


@pytest.mark.parametrize(
    ("other_first", "says"), [(False, "which has begun"), (True, "the latest draw that this client")]
)
def test_two_processes_of_a_client_never_answer_both_a_round_and_another_draw_of_its_epoch(
    small: Make, tmp_path: Path, other_first: bool, says: str
) -> None:
    path = tmp_path / "ledger.sqlite"
    parties: dict[int, Twice] = {}
    with ExitStack() as opened:

        def doubled(honest: Mapping[int, Client]) -> dict[int, Twice]:
            for number, one in honest.items():
                store = opened.enter_context(Ledger.open(path, create=False, run="raced"))
                parties[number] = Twice(one, replace(one, store=store), other_first)
            return parties

        with securefl.build_federated_averaging(
            small(),
            doubled,
            ledger=path,
            run="raced",  # type: ignore[arg-type]
        ) as process:
            process.next(process.initialize())
    assert parties
    for one in parties.values():
        assert one.replies == 1
        assert len(one.refusals) == 1 and says in one.refusals[0]
