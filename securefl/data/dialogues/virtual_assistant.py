"""Virtual assistant, synthetic: a client is a home whose people and door codes nobody else knows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from securefl.calls import ARGUMENTS
from securefl.data.dialogues.domain import Domain, Private, Slot, Words, act


class SetAlarm(BaseModel):
    """Wake somebody up."""

    model_config = ARGUMENTS
    hour: Annotated[int, Field(ge=0, le=23)]
    day: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class AddEvent(BaseModel):
    """Put a meeting into the calendar."""

    model_config = ARGUMENTS
    contact: Words
    event: Words
    hour: Annotated[int, Field(ge=0, le=23)]


class CallContact(BaseModel):
    """Call somebody."""

    model_config = ARGUMENTS
    contact: Words


class SendMessage(BaseModel):
    """Tell somebody when one arrives."""

    model_config = ARGUMENTS
    contact: Words
    hour: Annotated[int, Field(ge=0, le=23)]


class PlayMusic(BaseModel):
    """Play music of a kind in a room."""

    model_config = ARGUMENTS
    music: Words
    room: Words


class SetLight(BaseModel):
    """Set the light of a room."""

    model_config = ARGUMENTS
    room: Words
    percent: Annotated[int, Field(ge=0, le=100)]


class OpenDoor(BaseModel):
    """Open a door by its code."""

    model_config = ARGUMENTS
    code: Words


VIRTUAL_ASSISTANT = Domain(
    "virtual_assistant",
    (
        act(
            SetAlarm,
            (
                "wake me at {hour} on {day}",
                "set an alarm for {day} at {hour}",
                "alarm on {day}, {hour} o'clock",
                "I have to get up at {hour} on {day}",
                "let the alarm ring at {hour} on {day}",
            ),
            ("on {day} wake me at {hour} o'clock", "I have to set an alarm at {hour} on {day}"),
            "the alarm rings on {day} at {hour}",
        ),
        act(
            AddEvent,
            (
                "add {event} with {contact} at {hour}",
                "put {event} with {contact} into my calendar at {hour}",
                "{event} with {contact} at {hour}, note it",
                "plan {event} at {hour} with {contact}",
                "my calendar needs {event} with {contact} at {hour}",
            ),
            (
                "note {event} with {contact} at {hour}",
                "plan {event} with {contact} into my calendar at {hour}",
            ),
            "{event} with {contact} is at {hour}",
        ),
        act(
            CallContact,
            (
                "call {contact}",
                "phone {contact} now",
                "I want to talk to {contact}",
                "ring {contact} up",
                "dial the number of {contact}",
            ),
            ("I want to call {contact} now", "phone the number of {contact}"),
            "calling {contact}",
        ),
        act(
            SendMessage,
            (
                "tell {contact} I come at {hour}",
                "write {contact} that I arrive at {hour}",
                "message {contact}: there at {hour}",
                "let {contact} know I am home at {hour}",
                "text {contact} that it will be {hour}",
            ),
            ("write {contact}: home at {hour}", "tell {contact} that I arrive at {hour}"),
            "{contact} knows about {hour}",
        ),
        act(
            PlayMusic,
            (
                "play {music} in the {room}",
                "I want {music} in the {room}",
                "put on some {music}, {room}",
                "start {music} for the {room}",
                "{music} in the {room} now",
            ),
            ("start some {music} in the {room}", "I want {music} for the {room} now"),
            "{music} plays in the {room}",
        ),
        act(
            SetLight,
            (
                "set the light in the {room} to {percent}",
                "dim the {room} to {percent} percent",
                "{room} light at {percent} percent",
                "turn the {room} light to {percent}",
                "make it {percent} percent bright in the {room}",
            ),
            ("set the {room} to {percent} percent", "dim the light in the {room} to {percent}"),
            "the {room} is at {percent} percent",
        ),
        act(
            OpenDoor,
            (
                "open the door with {code}",
                "the door code is {code}, open it",
                "unlock with code {code}",
                "let me in, code {code}",
                "use {code} for the door",
            ),
            ("unlock the door with code {code}", "let me in, the code is {code}"),
            "the door with code {code} is open",
        ),
    ),
    {
        "contact": Private("name"),
        "code": Private("code"),
        "day": Slot(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")),
        "event": Slot(
            ("lunch", "chess", "a meeting", "a walk", "tennis", "dinner", "coffee", "a concert"),
            ("breakfast", "sailing", "a picnic"),
        ),
        "music": Slot(
            ("jazz", "rock", "a symphony", "folk", "soul", "piano music"), ("tango", "blues", "an opera")
        ),
        "room": Slot(
            ("kitchen", "hall", "bedroom", "office", "bathroom", "garden"), ("attic", "cellar", "garage")
        ),
        "hour": Slot((6, 7, 8, 9, 12, 15, 18, 20, 21), (10, 14, 17, 19)),
        "percent": Slot((0, 10, 20, 50, 80, 100), (30, 60, 70)),
    },
)
