"""Notes are found again, stay with their owner, and are data."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from securefl.agent import Memory, hashed, with_notes
from securefl.calls import Message
from securefl.errors import DataError

NOTES = ("my dentist is Doctor Brandt", "the garden gate code is 4711", "Mia has violin on Tuesdays")


def filled(file: Path | None = None) -> Memory:
    memory = Memory(hashed, file)
    for note in NOTES:
        memory.remember(note)
    return memory


def test_the_nearest_note_comes_first_and_nothing_unrelated_comes() -> None:
    assert filled().recall("who is my dentist?")[0] == NOTES[0]
    assert filled().recall("code of the gate", most=1) == (NOTES[1],)
    assert filled().recall("zzz") == ()
    assert Memory(hashed).recall("anything") == ()


def test_notes_survive_in_a_file_of_their_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "notes.jsonl"
    filled(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = Memory(hashed, file)
    assert len(again) == 3
    assert again.recall("violin") == (NOTES[2],)


@pytest.mark.parametrize("text", ["{", "[]\n", '{"note": 3}\n', "\xff", '{"n":' * 9999])
def test_a_file_that_is_no_list_of_notes_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="expected lines"):
        Memory(hashed, file)


@pytest.mark.parametrize("note", ["", "  ", "x" * 501])
def test_an_empty_or_long_note_is_refused(note: str) -> None:
    with pytest.raises(DataError, match="expected a note"):
        Memory(hashed).remember(note)


def test_notes_come_before_the_question_as_data_of_a_tool() -> None:
    ask = (Message("system", "s"), Message("user", "when is violin?"))
    told = with_notes(ask, filled(), most=1)
    assert [message.role for message in told] == ["system", "tool", "user"]
    assert told[1].content == "notes: " + json.dumps([NOTES[2]])
    assert with_notes(ask, Memory(hashed)) == ask
