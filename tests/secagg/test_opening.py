"""Whatever a malicious server sends: no member gives both kinds of share, and no set of members can."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations, product

import pytest

from securefl.errors import PeerFault, PolicyError, ProtocolError
from securefl.secagg import Step, respond, step_of
from securefl.secagg.messages import (
    KEY_KIND,
    SEED_KIND,
    ConfirmReply,
    ConfirmRequest,
    UnmaskRequest,
    from_bytes,
    to_bytes,
)
from securefl.secagg.states import state_to_bytes
from securefl.secagg.transcript import survivors_message


class MaliciousServer:
    """Plays a round honestly up to the masked vectors, then asks members what it likes."""

    def __init__(self, world):
        self.world = world
        self.slot = None

        def stop(client, step, data):
            self.slot = step.context
            return data if step.step <= Step.MASK else None

        world.run(world.wire(on_request=stop))
        self.after_mask = {client: one.states[self.slot] for client, one in world.endpoints.items()}

    def confirm(self, client, survivors):
        """A fresh copy of the member's state signs a list; returns (state after, signed reply)."""
        request = to_bytes(ConfirmRequest(self.slot, 1, 0, survivors))
        answer = respond(self.world.endpoints[client].member, self.after_mask[client], request, None)
        return answer.state, from_bytes(answer.reply)

    def unmask(self, client, state, confirmations):
        ordered = tuple(sorted(confirmations, key=lambda reply: reply.sender))
        request = to_bytes(UnmaskRequest(self.slot, 1, 0, ordered))
        return from_bytes(respond(self.world.endpoints[client].member, state, request, None).reply)


def lists_of(members, least):
    return [chosen for size in range(least, len(members) + 1) for chosen in combinations(members, size)]


def both_kinds_open(openings, threshold, dealers):
    """Dealers of whom both secrets can be rebuilt from (holder, dealer, kind) triples."""
    held = Counter((dealer, kind) for _, dealer, kind in openings)
    return [d for d in dealers if held[d, SEED_KIND] >= threshold and held[d, KEY_KIND] >= threshold]


@pytest.mark.parametrize(("members", "threshold", "colluders"), [(3, 2, 0), (4, 3, 0), (4, 3, 1), (5, 4, 2)])
def test_no_assignment_of_lists_opens_both_secrets_of_anybody(make_world, members, threshold, colluders):
    world = make_world(sizes=(members,), threshold=threshold, colluding=colluders)
    server, ids = MaliciousServer(world), world.roster.ids
    bad, honest = ids[:colluders], ids[colluders:]
    session = world.endpoints[ids[0]].opened(server.slot).session
    signed: dict[tuple[int, tuple[int, ...]], tuple[bytes, ConfirmReply]] = {}
    for client in honest:
        for survivors in lists_of(ids, threshold):
            if client in survivors:
                signed[client, survivors] = server.confirm(client, survivors)
    forged = {
        (client, survivors): ConfirmReply(
            client, world.endpoints[client].member.sign("confirm", survivors_message(session, survivors))
        )
        for client in bad
        for survivors in lists_of(ids, threshold)
    }
    choices = [[one for one in lists_of(ids, threshold) if client in one] for client in honest]
    opened_somewhere = 0
    cache: dict = {}
    for assignment in product(*choices):
        # A colluder hands the server both of its shares for everybody.
        openings = [
            (client, dealer, kind) for client in bad for dealer in ids for kind in (SEED_KIND, KEY_KIND)
        ]
        for client, own in zip(honest, assignment, strict=True):
            agreeing = [other for other, theirs in zip(honest, assignment, strict=True) if theirs == own]
            key = (client, own, tuple(agreeing))
            if key not in cache:
                confirmations = [signed[other, own][1] for other in agreeing]
                confirmations += [forged[other, own] for other in bad if other in own]
                cache[key] = None
                if len(confirmations) >= threshold:
                    cache[key] = server.unmask(client, signed[client, own][0], confirmations)
            if cache[key] is not None:
                opened_somewhere += 1
                kinds = {opening.dealer: opening.kind for opening in cache[key].openings}
                assert kinds == {dealer: SEED_KIND if dealer in own else KEY_KIND for dealer in ids}
                openings += [(client, dealer, kind) for dealer, kind in kinds.items()]
        assert both_kinds_open(openings, threshold, honest) == []
    assert opened_somewhere > 0


def test_fewer_signatures_than_the_threshold_open_nothing(make_world):
    server = MaliciousServer(make_world())
    everybody = (10, 11, 12, 13)
    signed = {client: server.confirm(client, everybody) for client in everybody}
    for count in range(3):
        with pytest.raises(PolicyError, match="signatures of at least 3"):
            server.unmask(10, signed[10][0], [signed[client][1] for client in everybody[:count]])


def test_signatures_over_another_list_open_nothing(make_world):
    server = MaliciousServer(make_world())
    state, own = server.confirm(10, (10, 11, 12, 13))
    others = [server.confirm(client, (10, 11, 12))[1] for client in (11, 12)]
    with pytest.raises(PeerFault):
        server.unmask(10, state, [own, *others])


def test_a_signature_under_another_name_opens_nothing(make_world):
    server = MaliciousServer(make_world())
    state, own = server.confirm(10, (10, 11, 12, 13))
    with pytest.raises(PeerFault) as fault:
        server.unmask(10, state, [own, replace(own, sender=11), replace(own, sender=12)])
    assert fault.value.culprit == 11


@pytest.mark.parametrize(
    "survivors",
    [(10, 11), (11, 12, 13), (10, 11, 12, 99), ()],
)
def test_a_short_foreign_or_self_less_list_is_not_signed(make_world, survivors):
    server = MaliciousServer(make_world())
    with pytest.raises(PolicyError, match="survivors"):
        server.confirm(10, survivors)


@pytest.mark.parametrize("again", [(10, 11, 12), (10, 11, 12, 13)])
def test_a_second_list_is_refused_and_the_same_one_is_only_answered_from_the_store(make_world, again):
    world = make_world()
    server = MaliciousServer(world)
    state, reply = server.confirm(10, (10, 11, 12, 13))
    request = to_bytes(ConfirmRequest(server.slot, 1, 0, again))
    with pytest.raises(PolicyError, match="next step"):
        respond(world.endpoints[10].member, state, request, None)
    endpoint = world.endpoints[10]
    assert from_bytes(endpoint(to_bytes(ConfirmRequest(server.slot, 1, 0, (10, 11, 12, 13))))) == reply
    if again == (10, 11, 12, 13):
        assert from_bytes(endpoint(request)) == reply
    else:
        with pytest.raises(ProtocolError, match="answered before"):
            endpoint(request)


def test_after_the_opening_no_secret_is_left_in_the_state(make_world):
    world = make_world()
    world.run()
    endpoint = world.endpoints[10]
    ((context, state),) = endpoint.states.items()
    assert type(endpoint.opened(context)).__name__ == "Finished"
    assert step_of(next(iter(endpoint.answers.values()))[0]).context == context
    assert len(state) < 300


def test_the_masked_state_has_neither_mask_key_nor_seed(make_world):
    world = make_world()
    secrets = {}

    def on_request(client, step, data):
        if step.step == Step.SHARE:
            before = world.endpoints[client].opened(step.context)
            secrets[client] = (before.mask_private, before.seed, before.channel_private)
        return data

    world.run(world.wire(on_request=on_request, on_reply=lambda c, s, d: None if s.step == Step.MASK else d))
    for client, endpoint in world.endpoints.items():
        (context,) = endpoint.states
        state = endpoint.opened(context)
        assert type(state).__name__ == "Masked"
        assert not any(secret in state_to_bytes(state) for secret in secrets[client])


def test_one_member_with_another_model_opens_nothing(make_world):
    world = make_world()
    sent = {}

    def on_request(client, step, data):
        if step.step == Step.MASK and client == 10:
            return to_bytes(replace(from_bytes(data), model=b"a model made for client 10"))
        return data if step.step <= Step.MASK else None

    def on_reply(client, step, data):
        sent[client] = step.context
        return data

    world.run(world.wire(on_request=on_request, on_reply=on_reply))
    server = MaliciousServer.__new__(MaliciousServer)
    server.world, server.slot = world, sent[10]
    server.after_mask = {client: one.states[server.slot] for client, one in world.endpoints.items()}
    everybody = (10, 11, 12, 13)
    signed = {client: server.confirm(client, everybody) for client in everybody}
    with pytest.raises(PeerFault):
        server.unmask(10, signed[10][0], [reply for _, reply in signed.values()])
    with pytest.raises(PeerFault):
        server.unmask(11, signed[11][0], [signed[client][1] for client in (10, 11, 12)])
    # The other three can finish without client 10, whose vector is then covered by its own mask for good.
    assert server.unmask(11, signed[11][0], [signed[client][1] for client in (11, 12, 13)]).openings
