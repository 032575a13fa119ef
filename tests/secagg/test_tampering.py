"""Whatever is done to a message on its way: the sum of the survivors is exact or there is none.

    14 kinds of tampering x 6 messages x 20 seeds = 1,680 cases

The six messages are those of the six points where a round can break: reveal, keys, shares, masked vector,
consistency, unmask. Each is a member's reply or the request that relays it; seeds alternate between the two
where the kind makes sense for both. Who tampers sits between members and server, or is the server, for one
member or for all. On half of the seeds another member has dropped out, so both kinds of share are opened.

Nothing here knows what a message holds beyond: a sender, a round, and lists.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import NamedTuple

import pytest

from securefl.errors import GroupAborted
from securefl.secagg import Step, aggregate, draw_groups, step_of
from securefl.secagg.messages import from_bytes, to_bytes

MESSAGES = (Step.REVEAL, Step.ADVERTISE, Step.SHARE, Step.MASK, Step.CONFIRM, Step.UNMASK)
SEEDS = range(20)
THRESHOLD, GROUPS = 3, 2
VERSION_AT = 4  # after the magic
PLACE = ("slot", "round", "attempt", "epoch", "redraw")
REQUEST, REPLY = "request", "reply"
UNTOUCHED, WITHOUT, ABORT = "exact with everybody", "exact without somebody", "typed abort"


class Case(NamedTuple):
    """One case. `seed` also decides direction, reach and dropout."""

    kind: str
    at: Step
    seed: int

    @property
    def everybody(self):
        return self.seed % 5 == 4 or (self.kind == "equivocation" and self.seed % 2 == 1)

    @property
    def dropout(self):
        return self.seed // 2 % 2 == 1


@dataclass
class Attacker:
    """An exchange that changes what passes at one step, in one direction, for its victims."""

    wire: object
    case: Case
    relist: object
    archive: dict
    chance: random.Random
    victim: int
    direction: str = REQUEST
    gone: int | None = None
    bent: dict = field(default_factory=dict)
    passed: dict = field(default_factory=dict)
    hits: int = 0

    def __post_init__(self):
        self.wire.on_request = self.deliver

    def deliver(self, client, step, data):
        gone = client == self.gone and step.step >= Step.MASK
        return None if gone else self.bent.get(client, data)

    def __call__(self, requests):
        if not requests:
            return {}  # a draw that has lost everybody
        step = step_of(next(iter(requests.values()))).step
        self.bent = self.tampered(step, REQUEST, requests)
        replies = self.wire(requests)
        return replies | self.tampered(step, REPLY, replies)

    def tampered(self, step, direction, batch):
        """The messages that are replaced, by client."""
        changed = {}
        if (step, direction) == (self.case.at, self.direction):
            for client in sorted(batch) if self.case.everybody else sorted({self.victim} & set(batch)):
                changed[client] = KINDS[self.case.kind](self, client, batch)
                self.hits += changed[client] != batch[client]
        for client, data in batch.items():
            self.passed.setdefault((client, direction), []).append(data)
        return changed


# The kinds ---------------------------------------------------------------------------------------


def bit_flip(attacker, client, batch):
    raw = bytearray(batch[client])
    raw[attacker.chance.randrange(len(raw))] ^= 1 << attacker.chance.randrange(8)
    return bytes(raw)


def truncate(attacker, client, batch):
    return batch[client][: attacker.chance.randrange(len(batch[client]))]


def extend(attacker, client, batch):
    return batch[client] + attacker.chance.randbytes(attacker.chance.randrange(1, 64))


def swap(attacker, client, batch):
    others = [data for other, data in sorted(batch.items()) if data != batch[client]]
    return attacker.chance.choice(others)


def replay(attacker, client, batch):
    """The same step's message from the archive: an earlier round's, or that of another task."""
    return attacker.archive[client, attacker.case.at, attacker.direction]


def within_the_round(attacker, client, batch):
    """An earlier message of the same draw or round, sent again in the place of this one."""
    return attacker.chance.choice(attacker.passed[client, attacker.direction])


def wrong_sender(attacker, client, batch):
    """A reply under another's name, or a request in which somebody on a list is somebody else."""
    everybody = attacker.wire.endpoints
    if attacker.direction == REPLY:
        other = attacker.chance.choice(sorted(set(everybody) - {client}))
        return to_bytes(replace(from_bytes(batch[client]), sender=other))

    def rename(items):
        place = attacker.chance.randrange(len(items))
        item = items[place]
        if not is_dataclass(item):
            items[place] = attacker.chance.choice(sorted(set(everybody) - {item}))
            return
        name = fields(item)[0].name  # a record on a list begins with the id of its sender, dealer or holder
        other = attacker.chance.choice(sorted(set(everybody) - {getattr(item, name)}))
        items[place] = replace(item, **{name: other})

    return relisted(attacker, batch[client], rename)


def wrong_round(attacker, client, batch):
    """A reply of another round, or a request whose number beside the slot is another."""
    if attacker.direction == REPLY:
        return attacker.archive[client, attacker.case.at, REPLY]
    return to_bytes(in_another_round(from_bytes(batch[client]), attacker.chance.choice((-1, 1, 4))))


def in_another_round(record, by):
    for name in ("round", "epoch"):
        if hasattr(record, name):
            return replace(record, **{name: getattr(record, name) + by})
    return replace(record, terms=in_another_round(record.terms, by))


def old_version(attacker, client, batch):
    raw = bytearray(batch[client])
    raw[VERSION_AT] ^= attacker.chance.randrange(1, 256)
    return bytes(raw)


def reordered(attacker, client, batch):
    def turn(items):
        one, other = attacker.chance.sample(range(len(items)), 2)
        items[one], items[other] = items[other], items[one]

    return relisted(attacker, batch[client], turn)


def duplicated(attacker, client, batch):
    def repeat(items):
        place = attacker.chance.randrange(len(items))
        items.insert(place, items[place])

    return relisted(attacker, batch[client], repeat)


def missing(attacker, client, batch):
    return relisted(attacker, batch[client], lambda items: items.pop(attacker.chance.randrange(len(items))))


def equivocation(attacker, client, batch):
    """One member, or every other one, gets another well-formed message than the rest."""
    if attacker.case.everybody and sorted(batch).index(client) % 2:
        return batch[client]
    message = from_bytes(batch[client])
    return to_bytes(different(message, random.Random(str(attacker.case))))


def different(record, chance):
    """The record with one value changed that is not its place in time: a list, a number or a byte."""
    names = [one.name for one in fields(record) if one.name not in PLACE and getattr(record, one.name) != ()]
    name = chance.choice(names)
    value = getattr(record, name)
    if is_dataclass(value):
        value = different(value, chance)
    elif isinstance(value, int):
        value += 1 if value == 0 else chance.choice((-1, 1))
    elif isinstance(value, tuple):
        value = value[:-1]
    else:
        value = bytes((value[0] ^ 1, *value[1:])) if value else b"\1"
    return replace(record, **{name: value})


def lists_in(record):
    """Every list of at least two ids or records in a message or its terms."""
    for one in fields(record):
        value = getattr(record, one.name)
        if is_dataclass(value):
            yield from lists_in(value)
        elif isinstance(value, tuple) and len(value) > 1:
            yield value


def relisted(attacker, data, change):
    old = attacker.chance.choice(list(lists_in(from_bytes(data))))
    items = list(old)
    change(items)
    return attacker.relist(data, old, tuple(items))


KINDS = {
    "bit flip": bit_flip,
    "truncate": truncate,
    "extend": extend,
    "swap between clients": swap,
    "replay from an earlier round": replay,
    "replay from another task": replay,
    "replay within the round": within_the_round,
    "wrong sender": wrong_sender,
    "wrong round": wrong_round,
    "old version": old_version,
    "reordered list": reordered,
    "duplicated entry": duplicated,
    "missing entry": missing,
    "equivocation": equivocation,
}
LIST_KINDS = ("reordered list", "duplicated entry", "missing entry")
REPLIES_WITH_LISTS = (Step.SHARE, Step.UNMASK)


def direction_of(case):
    if case.kind == "equivocation" or (case.kind in LIST_KINDS and case.at not in REPLIES_WITH_LISTS):
        return REQUEST
    if case.kind == "swap between clients" and case.at == Step.REVEAL:
        return REPLY  # the request is the same for everybody
    return (REQUEST, REPLY)[case.seed % 2]


# The run -----------------------------------------------------------------------------------------


def play(world, exchange, epoch=1, **changes):
    """A draw and the first round in its groups; None if the draw is aborted."""
    try:
        draw = draw_groups(world.epoch(GROUPS, epoch=epoch, **changes), exchange)
    except GroupAborted:
        return None
    drawn = {"groups": draw.groups, "group_seed": draw.seed, "evidence": draw.evidence}
    return aggregate(world.plan(round=epoch, **drawn, **changes), b"model", exchange)


def archive_of(world, epoch, **changes):
    """What passed in an honest round, by (client, step, direction)."""
    wire = world.wire()
    assert all(outcome.total is not None for outcome in play(world, wire, epoch, **changes))
    found = {}
    for client, step, request, reply in wire.heard:
        found[client, step.step, REQUEST], found[client, step.step, REPLY] = request, reply
    return found


def in_another_task(world):
    """The same identities with the same keys, at work on another task."""
    other = world.fresh()
    for endpoint in other.endpoints.values():
        policy = replace(endpoint.member.policy, task=b"another task".ljust(32))
        endpoint.member = replace(endpoint.member, policy=policy)
    return archive_of(other, 1, task=b"another task".ljust(32))


def run(make_world, relist, case):
    world = make_world(
        sizes=(5, 5),
        threshold=THRESHOLD,
        length=8,
        epoch_rounds=4,
        group_min=THRESHOLD,
        seed=str(case).encode(),
    )
    archive, epoch = {}, 1
    if case.kind == "replay from another task":
        archive = in_another_task(world)
    if case.kind == "replay from an earlier round":
        archive, epoch = archive_of(world, 1), 5
    if case.kind == "wrong round":
        archive = archive_of(world, 5)
    chance = random.Random(str(case))
    victim, gone = chance.sample(world.roster.ids, 2)
    attacker = Attacker(
        wire=world.wire(),
        case=case,
        relist=relist,
        archive=archive,
        chance=chance,
        victim=victim,
        direction=direction_of(case),
        gone=gone if case.dropout else None,
    )
    outcomes = play(world, attacker, epoch)
    assert attacker.hits > 0, "nothing was tampered with"
    assert attacker.wire.exposed(THRESHOLD) == set()
    assert world.plain_in(reply for _, _, _, reply in attacker.wire.heard) == set()
    return judge(world, outcomes, {attacker.gone} - {None})


def judge(world, outcomes, gone):
    """The case's outcome; fails where a sum is not the exact one of the survivors that it names."""
    if outcomes is None:
        return ABORT
    for outcome in outcomes:
        if outcome.total is None:
            assert outcome.failure
            assert outcome.survivors == ()
        else:
            assert len(outcome.survivors) >= THRESHOLD
            assert outcome.total.tolist() == world.expected(outcome.survivors)
    if any(outcome.total is None for outcome in outcomes):
        return ABORT
    present = {client for outcome in outcomes for client in outcome.survivors}
    return UNTOUCHED if present == set(world.roster.ids) - gone else WITHOUT


# The tests ---------------------------------------------------------------------------------------


def test_the_cases_are_1680():
    assert len(KINDS) * len(MESSAGES) * len(SEEDS) == 1680


def test_a_sum_that_is_off_by_one_or_claims_another_survivor_would_be_found(make_world):
    world = make_world(sizes=(5, 5), threshold=THRESHOLD)
    outcomes = world.run()
    assert judge(world, outcomes, set()) == UNTOUCHED
    for wrong in (
        replace(outcomes[0], total=outcomes[0].total + 1),
        replace(outcomes[0], survivors=outcomes[0].survivors[1:]),
    ):
        with pytest.raises(AssertionError):
            judge(world, (wrong, outcomes[1]), set())


@pytest.mark.parametrize("kind", KINDS)
def test_one_case_of_every_kind_and_message_is_exact_or_a_typed_abort(make_world, relist, kind):
    first = list(KINDS).index(kind)
    counts = Counter(
        run(make_world, relist, Case(kind, at, (7 * first + 3 * at) % len(SEEDS))) for at in MESSAGES
    )
    assert counts.total() == len(MESSAGES)


@pytest.mark.slow
@pytest.mark.parametrize("at", MESSAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_tampered_message_gives_an_exact_sum_or_a_typed_abort(make_world, relist, kind, at):
    counts = Counter(run(make_world, relist, Case(kind, at, seed)) for seed in SEEDS)
    print(kind, at.name, dict(counts))
    assert counts.total() == len(SEEDS)
