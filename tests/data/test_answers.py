"""A user's own conversations: one JSON object a line, refused by line where it is none."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl.data import Dataset, load, partition
from securefl.data.answers import Answered
from securefl.errors import DataError


class Lengths:
    """A tokenizer for which a text is one token, its length."""

    vocabulary = 100

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[len(text)] for text in texts], dtype=np.float32)

    def answers(self, answered: Sequence[Answered]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        tokens = self.texts([one.answer for one in answered])
        return tokens, tokens.astype(np.int64)


def read(path: Path, *lines: object) -> Dataset:
    file = path / "talks.jsonl"
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return load("jsonl", path=file, tokenize=Lengths(), test_fraction=0.5)


def talk(n: int, client: str = "") -> dict[str, object]:
    return {"prompt": f"ask {n}", "answer": "a" * n} | ({"client": client} if client else {})


def test_named_clients_keep_their_own_conversations_and_both_parts_have_every_client(tmp_path: Path) -> None:
    data = read(tmp_path, *(talk(n, f"c{n % 3}") for n in range(1, 13)))
    assert data.client_names == ("c0", "c1", "c2")
    assert (data.task, data.classes, len(data.train), len(data.test)) == ("causal_lm", 100, 6, 6)
    for client, share in enumerate(partition(data, "column", 3, 0)):
        assert {int(n) % 3 for n in data.train.features[share, 0]} == {client}


def test_the_hash_covers_texts_and_clients_in_any_order_and_labels_have_no_classes_to_skew(
    tmp_path: Path,
) -> None:
    rows = [talk(n) for n in range(1, 9)]
    data, turned, other = read(tmp_path, *rows), read(tmp_path, *rows[::-1]), read(tmp_path, *rows[1:])
    assert data.source_hash == turned.source_hash != other.source_hash
    assert data.client_names is None
    with pytest.raises(DataError, match="no classes to skew"):
        partition(data, "dirichlet", 2, 0, alpha=1.0)


def test_a_prompt_may_be_a_conversation(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "brief"}, {"role": "user", "content": "how long?"}]
    assert len(read(tmp_path, talk(1), {"prompt": messages, "answer": "ab"}).train) == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("not json", "one JSON object"),
        ("[" * 100_000, "one JSON object"),
        ({"prompt": "a"}, "keys prompt, answer"),
        ({"prompt": "a", "answer": "b", "weight": 1}, "keys prompt, answer"),
        ({"prompt": "a", "answer": ""}, "as text"),
        ({"prompt": "a", "answer": 3}, "as text"),
        ({"prompt": [], "answer": "b"}, "role and content"),
        ({"prompt": [{"role": "user", "content": 3}], "answer": "b"}, "role and content"),
    ],
)
def test_a_line_that_is_no_answered_prompt_is_refused_by_its_number(
    tmp_path: Path, line: object, says: str
) -> None:
    with pytest.raises(DataError, match=f"talks.jsonl, line 2: expected .*{says}"):
        read(tmp_path, talk(1), line)


def test_a_mark_at_the_start_and_rare_line_separators_are_text(tmp_path: Path) -> None:
    file = tmp_path / "talks.jsonl"
    rows = [json.dumps({"prompt": "a\u2028b", "answer": "x" * n}, ensure_ascii=False) for n in (1, 2, 3, 4)]
    file.write_bytes("\n".join(rows).encode("utf-8-sig"))
    data = load("jsonl", path=file, tokenize=Lengths(), test_fraction=0.5)
    assert len(data.train) + len(data.test) == 4


@pytest.mark.parametrize("text", ["", "\n\n", '{"prompt": "a", "answer": "\\ud800"}'])
def test_nothing_and_half_characters_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="expected"):
        read(tmp_path, text)
