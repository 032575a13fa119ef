"""A client and the draws of an epoch: one counts, the last committed in before the first round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

import securefl
from securefl.config import Config
from securefl.errors import PolicyError
from securefl.federation import Client
from securefl.federation.client import Prepared, answer_all
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
