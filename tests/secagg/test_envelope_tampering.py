"""Whatever is done to an envelope on its way: both rounds it concerns give the exact sum or none.

    11 kinds of tampering x 2 directions x 20 seeds = 440 cases

Three rounds are played, the keys of the second and third riding on the last answers of the round before. What
is bent is the envelope of the second round: its last request or reply together with the third round's first.
Clients are the real ones with a durable store, for they are who takes envelopes apart; who tampers sits
between them and the server, for one member or for all. On half of the seeds another member has dropped out of
the second round, so both kinds of share are opened.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from securefl.errors import DecodeError
from securefl.federation.client import Client, answer_all
from securefl.federation.stopwatch import Stopwatch
from securefl.privacy.ledger import Ledger
from securefl.secagg import Step, aggregate, join, split, step_of
from securefl.secagg.messages import from_bytes
from securefl.secagg.riding import Riding

SEEDS = range(20)
THRESHOLD, MEMBERS, BENT_ROUND = 3, 5, 2
REQUEST, REPLY = "request", "reply"
UNTOUCHED, WITHOUT, ABORT = "exact with everybody", "exact without somebody", "typed abort"


class Case(NamedTuple):
    """One case. `seed` also decides reach and dropout."""

    kind: str
    direction: str
    seed: int

    @property
    def everybody(self):
        return self.seed % 5 == 4

    @property
    def dropout(self):
        return self.seed % 2 == 1


@dataclass
class Attacker:
    """An exchange over real clients that changes the envelopes of one round in one direction."""

    clients: dict
    wire: object
    case: Case
    chance: random.Random
    victim: int
    gone: int | None = None
    passed: dict = field(default_factory=dict)
    hits: int = 0
    exchanges: int = 0

    def __call__(self, requests):
        self.exchanges += 1
        asked = {client: data for client, data in requests.items() if not self._absent(client, data)}
        asked = asked | self._tampered(asked, REQUEST, requests)
        replies = dict(answer_all(self.clients, asked).replies)
        for client, reply in replies.items():
            for request, answer in zip(split(asked[client]), split(reply), strict=False):
                self.wire.heard.append((client, step_of(request), request, answer))
        return replies | self._tampered(replies, REPLY, requests)

    def _absent(self, client, data):
        step = step_of(split(data)[0])
        return client == self.gone and step.round == BENT_ROUND and step.step >= Step.MASK

    def _tampered(self, batch, direction, requests):
        """The envelopes that are replaced, by client; all that pass are remembered, by round."""
        changed = {}
        envelopes = {client: data for client, data in batch.items() if len(split(data)) == 2}
        for client, data in envelopes.items():
            round = step_of(split(requests[client])[0]).round
            self.passed[client, direction, round] = data
            victim = self.case.everybody or client == self.victim
            if direction == self.case.direction and round == BENT_ROUND and victim:
                changed[client] = KINDS[self.case.kind](self, client, envelopes)
                self.hits += changed[client] != data
        return changed


# The kinds ---------------------------------------------------------------------------------------


def bit_flip(attacker, client, batch):
    raw = bytearray(batch[client])
    raw[attacker.chance.randrange(len(raw))] ^= 1 << attacker.chance.randrange(8)
    return bytes(raw)


def header_flip(attacker, client, batch):
    """A bit of magic, version, kind or one of both lengths."""
    raw, first = bytearray(batch[client]), split(batch[client])[0]
    place = attacker.chance.choice([*range(10), *range(10 + len(first), 14 + len(first))])
    raw[place] ^= 1 << attacker.chance.randrange(8)
    return bytes(raw)


def truncate(attacker, client, batch):
    return batch[client][: attacker.chance.randrange(len(batch[client]))]


def extend(attacker, client, batch):
    return batch[client] + attacker.chance.randbytes(attacker.chance.randrange(1, 64))


def swapped_parts(attacker, client, batch):
    return join(split(batch[client])[::-1])


def with_part(attacker, client, batch, part):
    """The envelope with one of its parts, drawn by chance, replaced."""
    parts, place = list(split(batch[client])), attacker.chance.randrange(2)
    parts[place] = part(place)
    return join(parts)


def part_of_another_round(attacker, client, batch):
    earlier = split(attacker.passed[client, attacker.case.direction, BENT_ROUND - 1])
    return with_part(attacker, client, batch, lambda place: earlier[place])


def part_of_another_client(attacker, client, batch):
    other = attacker.chance.choice(sorted(set(attacker.clients) - {client}))
    theirs = batch.get(other) or attacker.passed[other, attacker.case.direction, BENT_ROUND - 1]
    # Requests to open shares are the same for everybody here: only the keys' part can differ, or neither.
    own = split(batch[client])
    places = [place for place in (0, 1) if split(theirs)[place] != own[place]]
    if not places:
        earlier = attacker.passed[other, attacker.case.direction, BENT_ROUND - 1]
        return join((own[0], split(earlier)[1]))
    place = attacker.chance.choice(places)
    return join([split(theirs)[one] if one == place else own[one] for one in (0, 1)])


def duplicated_part(attacker, client, batch):
    parts = split(batch[client])
    return join((parts[attacker.chance.randrange(2)],) * 2)


def missing_part(attacker, client, batch):
    return with_part(attacker, client, batch, lambda place: b"")


def nested(attacker, client, batch):
    return with_part(attacker, client, batch, lambda place: batch[client])


def without_envelope(attacker, client, batch):
    """One of both parts alone, as if it had not ridden."""
    return split(batch[client])[attacker.chance.randrange(2)]


KINDS = {
    "bit flip": bit_flip,
    "bit flip in the header": header_flip,
    "truncate": truncate,
    "extend": extend,
    "swapped parts": swapped_parts,
    "part of another round": part_of_another_round,
    "part of another client": part_of_another_client,
    "duplicated part": duplicated_part,
    "missing part": missing_part,
    "nested envelope": nested,
    "without envelope": without_envelope,
}


# The run -----------------------------------------------------------------------------------------


def play(world, exchange):
    """Outcomes of three rounds whose keys ride."""
    outcomes, early = [], None
    for round in (1, 2, 3):
        ahead = Riding(world.plan(round=round + 1)) if round < 3 else None
        outcomes += aggregate(world.plan(round=round), b"model", exchange, early=early, ahead=ahead)
        early = ahead
    return outcomes


def attacked(world, folder, case):
    """The attacker and the outcomes of three rounds."""
    chance = random.Random(str(case))
    victim, gone = chance.sample(world.roster.ids, 2)
    with Ledger.open(folder / f"{case.seed}.ledger") as ledger:
        clients = {
            client: Client(one.member, one.contribute, ledger, None, Stopwatch())
            for client, one in world.endpoints.items()
        }
        attacker = Attacker(clients, world.wire(), case, chance, victim, gone if case.dropout else None)
        return attacker, play(world, attacker)


def run(make_world, folder, case):
    world = make_world(sizes=(MEMBERS,), threshold=THRESHOLD, length=8, seed=str(case).encode())
    attacker, outcomes = attacked(world, folder, case)
    assert attacker.hits > 0, "nothing was tampered with"
    assert attacker.wire.exposed(THRESHOLD) == set()
    assert world.plain_in(reply for _, _, _, reply in attacker.wire.heard) == set()
    return judge(world, outcomes, {attacker.gone} - {None})


def judge(world, outcomes, gone):
    """The case's outcome; fails where a sum is not the exact one of the survivors that it names."""
    for outcome in outcomes:
        if outcome.total is None:
            assert outcome.failure
            assert outcome.survivors == ()
        else:
            assert len(outcome.survivors) >= THRESHOLD
            assert outcome.total.tolist() == world.expected(outcome.survivors)
    if any(outcome.total is None for outcome in outcomes):
        return ABORT
    present = [set(outcome.survivors) for outcome in outcomes]
    everybody = set(world.roster.ids)
    return UNTOUCHED if present == [everybody, everybody - gone, everybody] else WITHOUT


# The tests ---------------------------------------------------------------------------------------


def test_the_cases_are_440():
    assert len(KINDS) * 2 * len(SEEDS) == 440


def test_envelopes_that_nobody_touches_make_four_exchanges_and_exact_sums(make_world, tmp_path):
    world = make_world(sizes=(MEMBERS,), threshold=THRESHOLD, length=8)
    KINDS["nothing"] = lambda attacker, client, batch: batch[client]
    attacker, outcomes = attacked(world, tmp_path, Case("nothing", REPLY, 4))
    del KINDS["nothing"]
    assert judge(world, outcomes, set()) == UNTOUCHED
    assert attacker.exchanges == 5 + 4 + 4
    assert len(attacker.passed) == 2 * 2 * MEMBERS, "requests and replies of the first two rounds"
    assert attacker.hits == 0


def test_everything_that_is_put_in_an_envelope_is_a_message_or_refused(make_world, tmp_path):
    world = make_world(sizes=(MEMBERS,), threshold=THRESHOLD, length=8)
    attacker, _ = attacked(world, tmp_path, Case("extend", REPLY, 0))
    for data in attacker.passed.values():
        assert all(from_bytes(part) for part in split(data))
        with pytest.raises(DecodeError):
            from_bytes(data)


@pytest.mark.parametrize("direction", [REQUEST, REPLY])
@pytest.mark.parametrize("kind", KINDS)
def test_one_tampered_envelope_of_every_kind_gives_exact_sums_or_typed_aborts(
    make_world, tmp_path, kind, direction
):
    seed = (7 * list(KINDS).index(kind) + 3 * (direction == REPLY)) % len(SEEDS)
    assert run(make_world, tmp_path, Case(kind, direction, seed))


@pytest.mark.slow
@pytest.mark.parametrize("direction", [REQUEST, REPLY])
@pytest.mark.parametrize("kind", KINDS)
def test_every_tampered_envelope_gives_exact_sums_or_typed_aborts(make_world, tmp_path, kind, direction):
    counts = Counter(run(make_world, tmp_path, Case(kind, direction, seed)) for seed in SEEDS)
    print(kind, direction, dict(counts))
    assert counts.total() == len(SEEDS)
