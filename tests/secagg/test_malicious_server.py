"""Every list that a malicious server can tell every member: nobody gives both kinds of share, nor do several.

    lists        every member is told every subset of the group, repeated and reordered ones included
    signers      every list is opened with every set of signatures that its signers can give
    assignments  every member is told its own list; colluders sign all of them and hand over their shares
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


@pytest.mark.parametrize(
    ("members", "threshold", "colluders"),
    [(3, 2, 0), (4, 3, 0), (4, 3, 1), pytest.param(5, 4, 2, marks=pytest.mark.slow), (5, 4, 1), (5, 5, 2)],
)
def test_no_assignment_of_lists_opens_both_secrets_of_anybody(
    make_world, malicious_server, members, threshold, colluders
):
    world = make_world(sizes=(members,), threshold=threshold, colluding=colluders)
    server, ids = malicious_server(world), world.roster.ids
    bad, honest = ids[:colluders], ids[colluders:]
    lists = subsets(ids, threshold)
    # Colluders sign every list: the copies of their states do what one honest state refuses.
    signed = {(client, one): server.confirm(client, one) for one in lists for client in one}
    opened = Counter()
    cache: dict = {}
    for assignment in product(*[[one for one in lists if client in one] for client in honest]):
        openings = list(product(bad, ids, (SEED_KIND, KEY_KIND)))
        for client, own in zip(honest, assignment, strict=True):
            signers = [other for other, theirs in zip(honest, assignment, strict=True) if theirs == own]
            signers += [other for other in bad if other in own]
            key = (client, own, tuple(signers))
            if key not in cache and len(signers) >= threshold:
                confirmations = [signed[signer, own][1] for signer in signers]
                cache[key] = kinds_of(server.unmask(client, signed[client, own][0], confirmations))
            if key in cache:
                assert cache[key] == right_kinds(ids, own)
                openings += [(client, dealer, kind) for dealer, kind in cache[key].items()]
                opened["openings"] += 1
        opened["assignments"] += 1
        assert both_kinds_open(openings, threshold, honest) == []
    print(members, threshold, colluders, dict(opened))
    assert opened["openings"] > 0


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
