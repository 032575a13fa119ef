"""A client and an envelope: two requests, two answers, one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

import securefl
from securefl.config import Config
from securefl.errors import PolicyError
from securefl.federation import Client
from securefl.federation.client import Prepared
from securefl.secagg import join, split, step_of

Make = Callable[..., Config]


class Crash(Exception):
    """Power is lost inside the transaction."""


@dataclass
class Watched:
    """A client whose first envelope goes through `check` before it is answered."""

    client: Client
    check: Callable[[Client, bytes], None]
    envelopes: list[bytes] = field(default_factory=list)

    @property
    def id(self) -> int:
        return self.client.id

    def prepare(self, request: bytes) -> Prepared:
        if len(split(request)) == 2:
            self.envelopes.append(request)
            self.check(self.client, request)
        return self.client.prepare(request)


def play(config: Config, check: Callable[[Client, bytes], None]) -> dict[int, Watched]:
    """Two rounds, the keys of the second riding on the first; both must be sound."""
    parties: dict[int, Watched] = {}

    def watch(honest: Mapping[int, Client]) -> dict[int, Watched]:
        parties.update({client: Watched(one, check) for client, one in honest.items()})
        return parties

    with securefl.build_federated_averaging(config, watch) as process:  # type: ignore[arg-type]
        state = process.initialize()
        for _ in range(2):
            state, metrics = process.next(state)
            assert metrics.record.status == "done"
            assert metrics.record.dropped == ()
    assert all(len(one.envelopes) == 1 for one in parties.values())
    return parties


def stored(client: Client, request: bytes) -> bool:
    step = step_of(request)
    return client.store.stored_answer(client.id, step.context, int(step.step)) is not None


def test_both_answers_of_an_envelope_are_durable_together_or_not_at_all(small: Make) -> None:
    def check(client: Client, request: bytes) -> None:
        parts = split(request)
        prepared = client.prepare(request)
        assert len(split(prepared.reply)) == 2
        assert [stored(client, part) for part in parts] == [False, False]
        with pytest.raises(Crash), client.store.transaction():
            prepared.commit()
            raise Crash
        assert [stored(client, part) for part in parts] == [False, False]
        with client.store.transaction():
            prepared.commit()
        assert [stored(client, part) for part in parts] == [True, True]
        assert client.prepare(request).reply == prepared.reply, "the stored bytes again"
        assert join([client.prepare(part).reply for part in parts]) == prepared.reply

    play(small("server.rounds=2"), check)


def test_a_refused_second_part_does_not_silence_the_first(small: Make) -> None:
    def check(client: Client, request: bytes) -> None:
        first, second = split(request)
        for refused in (second[:-1], b"", b"noise"):
            prepared = client.prepare(join((first, refused)))
            assert split(prepared.reply) == (prepared.reply,), "one answer, without an envelope"
        with client.store.transaction():
            prepared.commit()
        assert (stored(client, first), stored(client, second)) == (True, False)
        # What was refused by its content may be asked again; what was answered gets the same bytes.
        assert split(client.prepare(request).reply)[0] == prepared.reply

    play(small("server.rounds=2"), check)


def test_a_refused_first_part_takes_the_second_with_it(small: Make) -> None:
    def check(client: Client, request: bytes) -> None:
        first, second = split(request)
        with client.store.transaction():
            client.prepare(first).commit()
        changed = first[:-1] + bytes([first[-1] ^ 1])
        with pytest.raises(PolicyError, match="one answer per step"):
            client.prepare(join((changed, second)))
        assert not stored(client, second)

    play(small("server.rounds=2"), check)
