"""One answer per step, charged before it leaves; and nothing plain ever reaches the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

import securefl
from securefl.config import Config
from securefl.errors import BudgetExceeded, PolicyError
from securefl.federation import Client, LocalUpdate, answer_all
from securefl.federation.server import play
from securefl.federation.stopwatch import Stopwatch
from securefl.process import Process
from securefl.secagg import Step, split, step_of

Make = Callable[..., Config]


@dataclass
class Tap:
    """Everything that passes between the server and the clients, and what each client really computed."""

    requests: list[tuple[int, bytes]]
    replies: list[tuple[int, bytes]]
    updates: dict[int, np.ndarray]
    words: dict[int, np.ndarray]
    parties: Mapping[int, Client]


def tapped(config: Config) -> Tap:
    tap = Tap([], [], {}, {}, {})

    @dataclass(frozen=True)
    class Watched:
        honest: LocalUpdate

        def __call__(self, model: bytes, round: int) -> np.ndarray:
            update = self.honest.update(np.frombuffer(model, dtype="<f4"), round)
            words = self.honest.encoding.encode(
                update, self.honest.randomness.stream("r"), self.honest.weight
            )
            tap.updates[self.honest.client], tap.words[self.honest.client] = update, words.copy()
            return words

    @dataclass(frozen=True)
    class Recorded:
        client: Client

        @property
        def id(self) -> int:
            return self.client.id

        def prepare(self, request: bytes) -> object:
            tap.requests.append((self.id, request))
            prepared = self.client.prepare(request)
            tap.replies.append((self.id, prepared.reply))
            return prepared

    def watch(honest: Mapping[int, Client]) -> dict[int, object]:
        tap.parties = {c: replace(one, contribution=Watched(one.contribution)) for c, one in honest.items()}
        return {client: Recorded(one) for client, one in tap.parties.items()}

    with securefl.build_federated_averaging(config, watch) as process:  # type: ignore[arg-type]
        play_one(process)
        check_repeats(tap)
    return tap


def play_one(process: Process) -> None:
    process.next(process.initialize())


def check_repeats(tap: Tap) -> None:
    """While the ledger is open: an identical request gets the same bytes, another one is refused."""
    charged = {client: len(party.store.records()) for client, party in tap.parties.items()}
    for (client, request), (_, reply) in zip(tap.requests[-9:], tap.replies[-9:], strict=True):
        again = answer_all(tap.parties, {client: request})
        assert again.replies == {client: reply}
    client, request = tap.requests[-1]
    other = next(sent for holder, sent in tap.requests if holder != client and same_step(sent, request))
    with pytest.raises(PolicyError, match="one answer per step"):
        tap.parties[client].prepare(other if other != request else request[:-1] + b"\0")
    assert {c: len(party.store.records()) for c, party in tap.parties.items()} == charged


def same_step(one: bytes, other: bytes) -> bool:
    return step_of(one).step == step_of(other).step and one != other


def traces(tap: Tap) -> list[bytes]:
    """An update in any encoding that a leak could have: 8 coordinates are enough to recognise it."""
    found = []
    for client, update in tap.updates.items():
        codec = next(iter(tap.parties.values())).contribution.honest.encoding  # type: ignore[attr-defined]
        from securefl.encoding import clip_to_norm, pack

        clipped = clip_to_norm(update, codec.clip_norm)
        for vector in (update, clipped):
            found += [vector.astype(kind)[:8].tobytes() for kind in ("<f4", "<f8")]
        found += [tap.words[client][:8].tobytes(), pack(tap.words[client], codec.ring_bits)[:16]]
    return found


def test_nothing_that_reaches_the_server_holds_a_clients_update(small: Make) -> None:
    tap = tapped(small("server.rounds=1"))
    assert len(tap.updates) == 9
    wire = b"".join(reply for _, reply in tap.replies)
    assert not [trace for trace in traces(tap) if trace in wire]


def test_the_same_search_finds_the_updates_where_masking_is_off(small: Make) -> None:
    tap = tapped(small("server.rounds=1", "secure_aggregation.masking=false"))
    wire = b"".join(reply for _, reply in tap.replies)
    assert sum(trace in wire for trace in traces(tap)) == 9, "the packed ring words of every client"


def test_a_client_over_its_budget_is_silent_and_takes_nobody_down(small: Make) -> None:
    def spent(honest: Mapping[int, Client]) -> dict[int, Client]:
        charge = honest[0].charge
        assert charge is not None
        return {**honest, 0: replace(honest[0], charge=replace(charge, epsilon=0.01))}

    with securefl.build_federated_averaging(small("server.rounds=1"), spent) as process:
        _, metrics = process.next(process.initialize())
        records = process.ledger.records()
    assert BudgetExceeded.__name__ in metrics.record.refusals[0]
    assert metrics.record.dropped == (0,)
    assert metrics.record.status == "done"
    assert {record.client for record in records} == set(range(1, 9))


def test_a_server_that_repeats_rounds_gets_no_more_releases_than_the_card_says(small: Make) -> None:
    config = small("privacy.budget=100", "server.rounds=3")  # a ledger with room for many runs
    with securefl.build_federated_averaging(config) as process:
        honest, planned = process._exchange, process.terms.budget
        assert planned is not None and planned.releases == 4

        def losing_the_last_answers(requests: dict[int, bytes]) -> dict[int, bytes]:
            replies = honest(requests)
            steps = {step_of(split(request)[0]).step for request in requests.values()}
            return {} if Step.UNMASK in steps and losing else replies

        state = process.initialize()
        for _ in range(3):
            for attempt, losing in ((0, True), (1, False)):
                forgetful = replace(state, attempt=attempt, spares_used=0)
                after, record = play(process.setting, forgetful, losing_the_last_answers, Stopwatch())
                state = after if not losing else replace(after, round=state.round)
        made = Counter(one.client for one in process.ledger.records() if one.kind == "intent")
        assert record.status == "abandoned"
        assert set(made.values()) == {planned.releases}
        assert process.epsilon() == pytest.approx(planned.epsilon)
        assert planned.epsilon <= config.privacy.epsilon
