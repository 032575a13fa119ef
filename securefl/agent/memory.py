"""What an agent remembers for its one user: notes in a local file, found again by nearness of meaning.

Rules kept here:
- Notes stay in this process and in one file that only its owner can read. Nothing that trains or sends can
  import this room (a layer contract), so a note cannot be part of an update.
- Notes are data for the model and are shown as such; whoever can write a note can try to talk to the model
  through it.

What this file does NOT do: encrypt the file; know an encoder (`embed` is an argument, `encoders` has two).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from securefl.calls import Message
from securefl.data.source import read_capped
from securefl.errors import DataError

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to rows of length 1 (or 0). Shapes: (n, dim)."""
MOST_NOTES, MOST_CHARACTERS = 5000, 500
_CAP_BYTES = 16 << 20


class Memory:
    """The notes of one user.

    Args:
        embed: how texts become vectors.
        file: JSON lines; None keeps notes in memory only.

    Raises:
        DataError: a file that is no list of notes, or is too large.
    """

    def __init__(self, embed: Embed, file: Path | None = None) -> None:
        self._embed, self._file = embed, file
        self._notes = _read(file) if file is not None and file.exists() else []
        self._rows = self._embed(self._notes) if self._notes else None

    def __len__(self) -> int:
        return len(self._notes)

    def remember(self, note: str) -> None:
        """Keeps a note, in the file too.

        Raises:
            DataError: an empty or a long note, or one too many.
        """
        text = note.strip()
        if not text or len(text) > MOST_CHARACTERS or len(self._notes) >= MOST_NOTES:
            raise DataError(
                f"expected a note of 1 to {MOST_CHARACTERS} characters and at most {MOST_NOTES} notes, got "
                f"{len(text)} characters after {len(self._notes)} notes; shorten or delete some"
            )
        try:
            text.encode()
        except UnicodeEncodeError:
            raise DataError("expected a note of whole characters, got a broken one; type it again") from None
        if self._file is not None:
            self._file.touch(mode=0o600)
            self._file.chmod(0o600)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"note": text}) + "\n")
        self._notes.append(text)
        row = self._embed([text])
        self._rows = row if self._rows is None else np.concatenate([self._rows, row])

    def recall(self, query: str, most: int = 3) -> tuple[str, ...]:
        """The notes nearest to a query, the nearest first; none that has nothing in common with it."""
        if self._rows is None:
            return ()
        nearness = self._rows @ self._embed([query])[0]
        order = np.argsort(-nearness, kind="stable")[:most]
        return tuple(self._notes[at] for at in order if nearness[at] > 0)


def with_notes(messages: Sequence[Message], memory: Memory, most: int = 3) -> tuple[Message, ...]:
    """The messages with what is remembered about the last one put before it, as data."""
    notes = memory.recall(messages[-1].content, most)
    if not notes:
        return tuple(messages)
    told = Message("tool", "notes: " + json.dumps(notes, ensure_ascii=False))
    return (*messages[:-1], told, messages[-1])


def _read(file: Path) -> list[str]:
    notes: list[str] = []
    try:
        for line in bytes(read_capped(file, _CAP_BYTES)).decode().splitlines():
            tree: object = json.loads(line)
            note = tree.get("note") if isinstance(tree, dict) else None
            if not isinstance(note, str) or len(notes) >= MOST_NOTES:
                raise ValueError(f"line {len(notes) + 1}")
            notes.append(note)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f'{file}: expected lines {{"note": TEXT}}, at most {MOST_NOTES}, got {error}; repair the file'
        ) from None
    return notes
