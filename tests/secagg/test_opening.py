"""The last two steps of a member: one list, enough signatures, one share per dealer, nothing left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from securefl.errors import PeerFault, PolicyError, ProtocolError
from securefl.secagg import Step, respond, step_of
from securefl.secagg.messages import from_bytes
from securefl.secagg.states import state_to_bytes


def test_fewer_signatures_than_the_threshold_open_nothing(make_world, malicious_server):
    server = malicious_server(make_world())
    everybody = (10, 11, 12, 13)
    signed = {client: server.confirm(client, everybody) for client in everybody}
    for count in range(3):
        with pytest.raises(PolicyError, match="signatures of at least 3"):
            server.unmask(10, signed[10][0], [signed[client][1] for client in everybody[:count]])


def test_signatures_over_another_list_open_nothing(make_world, malicious_server):
    server = malicious_server(make_world())
    state, own = server.confirm(10, (10, 11, 12, 13))
    others = [server.confirm(client, (10, 11, 12))[1] for client in (11, 12)]
    with pytest.raises(PeerFault):
        server.unmask(10, state, [own, *others])


def test_a_signature_under_another_name_opens_nothing(make_world, malicious_server):
    server = malicious_server(make_world())
    state, own = server.confirm(10, (10, 11, 12, 13))
    with pytest.raises(PeerFault) as fault:
        server.unmask(10, state, [own, replace(own, sender=11), replace(own, sender=12)])
    assert fault.value.culprit == 11


@pytest.mark.parametrize(
    "survivors",
    [(10, 11), (11, 12, 13), (10, 11, 12, 99), ()],
)
def test_a_short_foreign_or_self_less_list_is_not_signed(make_world, malicious_server, survivors):
    server = malicious_server(make_world())
    with pytest.raises(PolicyError, match="survivors"):
        server.confirm(10, survivors)


@pytest.mark.parametrize("again", [(10, 11, 12), (10, 11, 12, 13)])
def test_a_second_list_is_refused_and_the_same_one_is_only_answered_from_the_store(
    make_world, malicious_server, again
):
    world = make_world()
    server = malicious_server(world)
    state, reply = server.confirm(10, (10, 11, 12, 13))
    request = server.confirm_request(again)
    with pytest.raises(PolicyError, match="next step"):
        respond(world.endpoints[10].member, state, request, None)
    endpoint = world.endpoints[10]
    assert from_bytes(endpoint(server.confirm_request((10, 11, 12, 13)))) == reply
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
