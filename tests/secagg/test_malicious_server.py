"""Every list that a malicious server can tell every member: nobody gives both kinds of share, nor do several.

    lists        every member is told every subset of the group, repeated and reordered ones included
    signers      every list is opened with every set of signatures that its signers can give
    assignments  every member is told its own list, in every combination, up to 8 members; colluders sign all
                 lists and hand over their shares
    crashes      every member is asked again, with every other list, after its process is gone

What is allowed is stated here from the definition: a list is signed if it has the signer and at least t
of the members, once; it opens with at least t signatures; 2t > k + n_c. Members answer through the doors,
and their states are only copied, never read.
"""

from __future__ import annotations

import shutil
from collections import Counter
from itertools import combinations, product

import pytest

from securefl.errors import ProtocolError
from securefl.federation.client import Client, answer_all
from securefl.federation.stopwatch import Stopwatch
from securefl.privacy.ledger import Ledger
from securefl.secagg import Step, aggregate, step_of
from securefl.secagg.messages import KEY_KIND, SEED_KIND, from_bytes

QUICK = [(3, 2), (4, 3), (5, 3)]
ALL = [(members, t) for members in range(3, 9) for t in range(members // 2 + 1, members + 1)]
SIZES = QUICK + [pytest.param(*size, marks=pytest.mark.slow) for size in ALL if size not in QUICK]


def subsets(members, least=0):
    return [chosen for size in range(least, len(members) + 1) for chosen in combinations(members, size)]


def kinds_of(reply):
    return {opening.dealer: opening.kind for opening in reply.openings}


def right_kinds(members, survivors):
    return {dealer: SEED_KIND if dealer in survivors else KEY_KIND for dealer in members}


def both_kinds_open(openings, threshold, dealers):
    """Dealers of whom both secrets can be rebuilt from (holder, dealer, kind) triples."""
    held = Counter((dealer, kind) for _, dealer, kind in set(openings))
    return [d for d in dealers if held[d, SEED_KIND] >= threshold and held[d, KEY_KIND] >= threshold]


# Lists -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("members", "threshold"), SIZES)
def test_a_member_signs_exactly_the_lists_with_itself_and_t_members_and_opens_each_by_that_list(
    make_world, malicious_server, members, threshold
):
    world = make_world(sizes=(members,), threshold=threshold)
    server, ids = malicious_server(world), world.roster.ids
    told = Counter()
    signed = {}
    for client, survivors in product(ids, subsets(ids)):
        allowed = client in survivors and len(survivors) >= threshold
        if allowed:
            signed[client, survivors] = server.confirm(client, survivors)
        else:
            with pytest.raises(ProtocolError):
                server.confirm(client, survivors)
        told[allowed] += 1
        for strange in ((*survivors, *survivors[-1:]), survivors[::-1], (*survivors, 99)):
            if strange != survivors:
                with pytest.raises(ProtocolError):
                    server.confirm(client, strange)
                told["strange"] += 1
    for (client, survivors), (state, _) in signed.items():
        confirmations = [signed[signer, survivors][1] for signer in survivors[:threshold]]
        assert kinds_of(server.unmask(client, state, confirmations)) == right_kinds(ids, survivors)
    print(members, threshold, dict(told))
    assert told[True] + told[False] == members * 2**members


# Signers -----------------------------------------------------------------------------------------


def elsewhere(lists, survivors, signers):
    """For each survivor that did not sign: itself and another list that it may sign, if there is one."""
    for client in sorted(set(survivors) - set(signers)):
        yield from [(client, one) for one in lists if client in one and one != survivors][-1:]


@pytest.mark.parametrize(("members", "threshold"), SIZES)
def test_a_list_opens_with_t_signatures_over_it_and_with_no_others(
    make_world, malicious_server, members, threshold
):
    world = make_world(sizes=(members,), threshold=threshold)
    server, ids = malicious_server(world), world.roster.ids
    lists = subsets(ids, threshold)
    signed = {(client, one): server.confirm(client, one) for one in lists for client in one}
    tried = Counter()
    for survivors in lists:
        for signers in subsets(survivors):
            confirmations = [signed[signer, survivors][1] for signer in signers]
            client = survivors[len(signers) % len(survivors)]
            state = signed[client, survivors][0]
            if len(signers) >= threshold:
                assert kinds_of(server.unmask(client, state, confirmations)) == right_kinds(ids, survivors)
                tried["opened"] += 1
                continue
            # Short of t, alone or filled up with what the other survivors signed: another list.
            for more in ([], [signed[one] for one in elsewhere(lists, survivors, signers)]):
                with pytest.raises(ProtocolError):
                    server.unmask(client, state, [*confirmations, *(reply for _, reply in more)])
                tried["refused"] += 1
    print(members, threshold, dict(tried))
    assert tried["opened"] == sum(len(subsets(one, threshold)) for one in lists)


@pytest.mark.parametrize(("members", "threshold"), ALL)
def test_no_two_lists_find_t_signers_whoever_is_told_what(members, threshold):
    # By the two tests above a list opens exactly with t of its signers, and an honest member signs one.
    colluding = [n_c for n_c in range(members) if 2 * threshold > members + n_c and threshold - n_c >= 2]
    assert 0 in colluding
    for n_c in colluding:
        bad = (1 << n_c) - 1
        for one in range(1 << members):
            if one.bit_count() < threshold:
                continue
            others = (two for two in range(1 << members) if two.bit_count() >= threshold)
            assert all((one & two) & ~bad for two in others), "no honest member signs twice"


# Assignments -------------------------------------------------------------------------------------


class Coalition:
    """A malicious server and its colluders against honest members of whom each signs one list.

    Colluders sign every list: the copies of their states do what one honest state refuses. They hand over
    both shares of everybody. What an honest member opens is asked of a copy of its real state, once per list
    and set of signers, and remembered: a step is a function of state and request.
    """

    def __init__(self, world, server, threshold, colluders):
        self.ids, self.threshold, self.server = world.roster.ids, threshold, server
        self.bad, self.honest = self.ids[:colluders], self.ids[colluders:]
        self.lists = subsets(self.ids, threshold)
        self.signed = {(client, one): server.confirm(client, one) for one in self.lists for client in one}
        self.known = frozenset(product(self.bad, self.ids, (SEED_KIND, KEY_KIND)))
        self.asked = Counter()
        self._opened = {}

    def opens(self, own, told):
        """(holder, dealer, kind) of what all honest members `told` the list `own` open, none told it else."""
        signers = tuple(sorted({*told, *set(self.bad).intersection(own)}))
        return frozenset(one for client in told for one in self._asked(client, own, signers))

    def _asked(self, client, own, signers):
        key = (client, own, signers)
        if key not in self._opened:
            self._opened[key] = self._answer(client, own, signers)
        return self._opened[key]

    def _answer(self, client, own, signers):
        confirmations = [self.signed[signer, own][1] for signer in signers]
        try:
            kinds = kinds_of(self.server.unmask(client, self.signed[client, own][0], confirmations))
        except ProtocolError:
            self.asked["refused"] += 1
            return ()
        self.asked["opened"] += 1
        assert kinds == right_kinds(self.ids, own)
        return tuple((client, dealer, kind) for dealer, kind in kinds.items())

    def outcomes_one_by_one(self):
        """What each joint assignment opens, assignment by assignment."""
        for assignment in product(*[[one for one in self.lists if client in one] for client in self.honest]):
            told = {}
            for client, own in zip(self.honest, assignment, strict=True):
                told.setdefault(own, []).append(client)
            yield frozenset().union(*(self.opens(own, tuple(who)) for own, who in told.items()))

    def outcomes(self):
        """What all joint assignments open, each outcome at least once.

        An assignment splits the honest members into blocks: those who were told the same list. A block whose
        members open nothing adds nothing, whatever its list, and blocks share no member. So an outcome is a
        union of the openings of blocks that open, for different lists and without a common member; all such
        unions are formed here, from the blocks that were really seen to open. A member that is told a list it
        does not sign, or none, is in no block: the union without it is among these too.
        """
        opening = [
            (own, frozenset(told), opened)
            for own in self.lists
            for told in subsets([one for one in self.honest if one in own], least=1)
            if (opened := self.opens(own, told))
        ]
        yield from self._unions(opening, frozenset())

    def _unions(self, blocks, opened):
        yield opened
        for place, (own, told, more) in enumerate(blocks):
            apart = [one for one in blocks[place + 1 :] if one[0] != own and not told & one[1]]
            yield from self._unions(apart, opened | more)

    def check(self, opened):
        """Nobody's both secrets can be rebuilt from what is open."""
        assert both_kinds_open(self.known | opened, self.threshold, self.honest) == []


@pytest.fixture
def coalition(make_world, malicious_server):
    """Makes a `Coalition` of so many members, threshold and colluders."""

    def make(members, threshold, colluders):
        world = make_world(sizes=(members,), threshold=threshold, colluding=colluders)
        return Coalition(world, malicious_server(world), threshold, colluders)

    return make


@pytest.mark.parametrize(
    ("members", "threshold", "colluders"),
    [(3, 2, 0), (4, 3, 0), (4, 3, 1), pytest.param(5, 4, 2, marks=pytest.mark.slow), (5, 4, 1), (5, 5, 2)],
)
def test_no_assignment_of_lists_opens_both_secrets_of_anybody(coalition, members, threshold, colluders):
    party, tried = coalition(members, threshold, colluders), Counter()
    seen = set()
    for opened in party.outcomes_one_by_one():
        party.check(opened)
        seen.add(opened)
        tried["assignments"] += 1
    print(members, threshold, colluders, dict(tried), dict(party.asked), len(seen), "outcomes")
    assert seen <= set(party.outcomes()), "the blocks lose no outcome"
    assert party.asked["opened"] > 0


CORRUPTED = [(n, t, bad) for n, t in ALL for bad in range(n) if 2 * t > n + bad and t - bad >= 2]
QUICK_CORRUPTED = [(4, 3, 1), (5, 3, 0), (6, 5, 3)]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("members", "threshold", "colluders"),
    [
        pytest.param(
            *one, marks=[] if one in QUICK_CORRUPTED else pytest.mark.slow, id="-".join(map(str, one))
        )
        for one in CORRUPTED
    ],
)
def test_no_joint_assignment_opens_both_secrets_of_anybody_in_groups_up_to_8(
    coalition, members, threshold, colluders
):
    # Which members collude does not matter in a complete graph: ids are names, and places but points.
    party, outcomes = coalition(members, threshold, colluders), 0
    for opened in party.outcomes():
        party.check(opened)
        outcomes += 1
    print(
        (members, threshold, colluders),
        f"{(2**members) ** len(party.honest):.3g} assignments, {outcomes} outcomes, real answers",
        dict(party.asked),
    )
    assert party.asked["opened"] > 0
    assert outcomes > 1


def test_a_threshold_too_low_for_its_colluders_would_be_found(coalition):
    # 2t > k + n_c is what forbids it: 4 members with t = 3 bear one colluder, and would not bear three.
    party = coalition(4, 3, 1)
    party.bad, party.honest = party.ids[:3], party.ids[3:]
    party.known = frozenset(product(party.bad, party.ids, (SEED_KIND, KEY_KIND)))
    with pytest.raises(AssertionError):
        for opened in party.outcomes():
            party.check(opened)


def test_members_whose_memory_can_be_rolled_back_would_give_both(make_world, malicious_server):
    # Nothing in a state stops whoever owns it from playing it twice: that is what the durable store is for.
    world = make_world()
    server, ids = malicious_server(world), world.roster.ids
    for survivors in (ids, ids[:3]):
        signed = {client: server.confirm(client, survivors) for client in survivors}
        for client, (state, _) in signed.items():
            server.unmask(client, state, [reply for _, reply in signed.values()])
        expected = set() if survivors == ids else {ids[3]}
        assert server.wire.exposed(threshold=3) == expected


# Crashes -----------------------------------------------------------------------------------------


class Stored:
    """Clients with their ledgers on disk, brought up to the masked vectors by an honest server."""

    def __init__(self, world, folder):
        self.world, self.folder, self.copies = world, folder, 0
        clients = {client: self.open(client, self._path(client)) for client in world.roster.ids}

        def exchange(requests):
            step = step_of(next(iter(requests.values()))).step
            return dict(answer_all(clients, requests).replies) if step <= Step.MASK else {}

        aggregate(world.plan(), b"model of the round", exchange)
        for client in clients.values():
            client.store.close()

    def _path(self, client):
        return self.folder / f"{client}.ledger"

    def open(self, client, path):
        endpoint = self.world.endpoints[client]
        return Client(endpoint.member, endpoint.contribute, Ledger.open(path), None, Stopwatch())

    def copy(self, client):
        """Where a copy of the client's ledger lies, as it was after the masked vector."""
        self.copies += 1
        path = self.folder / f"copy-{self.copies}.ledger"
        shutil.copy(self._path(client), path)
        return path


def answered(client, request):
    """The reply once it is durable, as the exchange hands it over; the process is gone afterwards."""
    (reply,) = answer_all({client.id: client}, {client.id: request}).replies.values()
    client.store.close()
    return reply


def refusals(client, requests):
    """How many requests the client refuses; it must refuse all of them and leave no trace."""
    for request in requests:
        with pytest.raises(ProtocolError):
            client.prepare(request)
    client.store.close()
    return len(requests)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("members", "threshold"), SIZES)
def test_a_client_that_crashed_and_is_asked_again_with_another_list_gives_nothing_new(
    make_world, malicious_server, tmp_path, members, threshold
):
    world = make_world(sizes=(members,), threshold=threshold)
    template = malicious_server(world.fresh())
    stored, ids = Stored(world, tmp_path), world.roster.ids
    requests = {survivors: template.confirm_request(survivors) for survivors in subsets(ids)}
    lists = subsets(ids, threshold)
    # Preparing writes nothing, so one process can be made to sign every list: a coalition's signatures.
    signed = {}
    for client in ids:
        party = stored.open(client, stored.copy(client))
        signed |= {(client, one): party.prepare(requests[one]).reply for one in lists if client in one}
        party.store.close()
    asked = 0
    for client in ids:
        for survivors in (one for one in lists if client in one):
            path = stored.copy(client)
            reply = answered(stored.open(client, path), requests[survivors])
            others = [request for one, request in requests.items() if one != survivors]
            asked += refusals(stored.open(client, path), others)
            assert answered(stored.open(client, path), requests[survivors]) == reply
            confirmations = [from_bytes(signed[signer, survivors]) for signer in survivors]
            opening = template.unmask_request(confirmations)
            opened = answered(stored.open(client, path), opening)
            assert kinds_of(from_bytes(opened)) == right_kinds(ids, survivors)
            fewer = [template.unmask_request(confirmations[:-1])] * (len(survivors) > threshold)
            asked += refusals(stored.open(client, path), others + fewer)
            assert answered(stored.open(client, path), opening) == opened
            path.unlink()
    print(members, threshold, asked, "asked again with another list")
    assert asked >= 2 * len(signed) * (2**members - 1)


def test_a_client_that_crashed_before_its_signature_was_durable_may_sign_another_list(
    make_world, malicious_server, tmp_path
):
    # Nothing left it, so nothing binds it: a reply is handed over only after its transaction.
    world = make_world()
    template, stored = malicious_server(world.fresh()), Stored(world, tmp_path)
    lost, kept = template.confirm_request((10, 11, 12, 13)), template.confirm_request((10, 11, 12))
    path = stored.copy(10)
    party = stored.open(10, path)
    prepared = party.prepare(lost)
    with pytest.raises(KeyboardInterrupt), party.store.transaction():
        prepared.commit()
        raise KeyboardInterrupt
    party.store.close()
    assert answered(stored.open(10, path), kept) != prepared.reply
    assert refusals(stored.open(10, path), [lost]) == 1
