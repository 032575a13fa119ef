"""Replies of one exchange: sound ones by sender, and whoever sent something else by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import PeerFault, ProtocolError
from securefl.secagg.collect import collect
from securefl.secagg.messages import ConfirmReply, UnmaskReply, to_bytes

ASKED = (3, 5, 8, 13)


def reply(sender: int) -> ConfirmReply:
    return ConfirmReply(sender, bytes([sender]) * 64)


def sent(*clients: int) -> dict[int, bytes]:
    return {client: to_bytes(reply(client)) for client in clients}


def accept(_: object) -> None:
    """Every reply is sound."""


def test_sound_replies_come_by_sender_ascending_in_whatever_order_they_came():
    sound, blame = collect(sent(8, 3, 13, 5), (13, 5, 8, 3), ConfirmReply, accept)
    assert list(sound.items()) == [(client, reply(client)) for client in ASKED]
    assert blame == ()


def test_who_is_silent_is_missing_and_not_blamed():
    sound, blame = collect(sent(3, 8), ASKED, ConfirmReply, accept)
    assert (list(sound), blame) == ([3, 8], ())


def test_who_was_not_asked_is_not_even_read():
    read = []
    sound, blame = collect({**sent(3, 4), 6: b"noise"}, ASKED, ConfirmReply, read.append)
    assert list(sound) == [3]
    assert read == [reply(3)]
    assert blame == (), "a stranger can neither take part nor get itself into the log"


def test_a_reply_in_anothers_name_blames_its_sender_and_not_the_one_it_names():
    replies = {**sent(3, 8), 5: to_bytes(reply(3))}
    sound, blame = collect(replies, ASKED, ConfirmReply, accept)
    assert list(sound) == [3, 8]
    assert blame == ((5, "expected a message of its own sender 5, got one of 3"),)


def test_one_members_bytes_from_everybody_count_once():
    sound, blame = collect(dict.fromkeys(ASKED, to_bytes(reply(8))), ASKED, ConfirmReply, accept)
    assert list(sound) == [8]
    assert [client for client, _ in blame] == [3, 5, 13]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "expected a message that starts with"),
        (b"noise", "expected a message that starts with"),
        (to_bytes(reply(5))[:-1], "cut short"),
        (to_bytes(reply(5)) + b"\0", "1 more bytes"),
        (to_bytes(UnmaskReply(5, (), bytes(64))), "expected a ConfirmReply, got a UnmaskReply"),
    ],
)
def test_what_is_no_message_of_this_step_blames_its_sender_and_stops_nobody_else(data, said):
    sound, blame = collect({**sent(3, 8, 13), 5: data}, ASKED, ConfirmReply, accept)
    assert list(sound) == [3, 8, 13]
    ((client, reason),) = blame
    assert client == 5
    assert said in reason


def test_a_reply_that_does_not_verify_blames_its_sender_with_the_reason():
    def check(message: ConfirmReply) -> None:
        if message.sender == 8:
            raise ProtocolError("not as it should be")
        if message.sender == 13:
            raise PeerFault(13, "signed badly")

    sound, blame = collect(sent(*ASKED), ASKED, ConfirmReply, check)
    assert list(sound) == [3, 5]
    assert blame == ((8, "not as it should be"), (13, "party 13: signed badly"))


def test_only_replies_of_the_right_kind_and_sender_are_checked():
    checked = []
    replies = {3: to_bytes(UnmaskReply(3, (), bytes(64))), 5: to_bytes(reply(8)), 13: to_bytes(reply(13))}
    collect(replies, ASKED, ConfirmReply, checked.append)
    assert checked == [reply(13)]


def test_a_mistake_of_our_own_is_nobodys_fault_and_not_swallowed():
    def broken(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        collect(sent(3), ASKED, ConfirmReply, broken)


@given(st.dictionaries(st.sampled_from((*ASKED, 99)), st.sampled_from(["sound", "forged", "other", "noise"])))
@settings(max_examples=100, deadline=None)
def test_everybody_asked_is_sound_blamed_or_silent_and_exactly_one_of_them(fates):
    made = {
        "sound": lambda one: to_bytes(reply(one)),
        "forged": lambda one: to_bytes(replace(reply(one), signature=bytes(64))),
        "other": lambda one: to_bytes(reply(one + 1)),
        "noise": lambda one: b"noise",
    }

    def check(message: ConfirmReply) -> None:
        if message.signature == bytes(64):
            raise ProtocolError("forged")

    replies = {client: made[fate](client) for client, fate in fates.items()}
    sound, blame = collect(replies, ASKED, ConfirmReply, check)
    blamed = [client for client, _ in blame]
    assert list(sound) == [one for one in ASKED if fates.get(one) == "sound"]
    assert blamed == [one for one in ASKED if fates.get(one) not in (None, "sound")]
