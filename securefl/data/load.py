"""The one door to all loaders: a kind and its settings in, a validated data set out.

Rules kept here: a setting that the kind does not read is refused, so that nobody believes it had an
effect; what a loader reads is said in its own file.

What this file does NOT do: partition among clients (`partition`); download.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from securefl.data.answers import load_jsonl
from securefl.data.arrays import load_npz
from securefl.data.dialogues import Lives, load_dialogues
from securefl.data.digits import load_digits
from securefl.data.examples import Dataset
from securefl.data.heart import load_heart_disease
from securefl.data.idx import load_fashion_mnist
from securefl.data.mnist_5k import load_mnist_5k
from securefl.data.shakespeare import load_shakespeare
from securefl.data.tables import load_csv
from securefl.data.texts import CORPORA, Tokenize, load_corpus
from securefl.errors import DataError

KINDS = (
    "digits",
    "fashion_mnist",
    "mnist_5k",
    "heart_disease",
    *CORPORA,
    "shakespeare",
    "dialogues",
    "csv",
    "npz",
    "jsonl",
)
TEXTS = (*CORPORA, "shakespeare", "dialogues", "jsonl")
"""Kinds that need a language model's tokenizer."""
_OWN = ("path", "label", "client")
_READS = {
    "csv": _OWN,
    "npz": _OWN,
    "jsonl": ("path",),
    "fashion_mnist": ("path",),
    "shakespeare": ("roles",),
}
"""What settings a kind reads."""


def load(
    kind: str,
    *,
    path: str | Path | None = None,
    label: str | None = None,
    client: str | None = None,
    roles: int | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    tokenize: Tokenize | None = None,
    lives: Lives | None = None,
) -> Dataset:
    """Read, validate and split one data set.

    Args:
        kind: one of `KINDS`.
        path: file (csv, npz, jsonl) or folder (fashion_mnist, where None is the Debian package's).
        label: column or array of the labels (csv, npz).
        client: column or array of the clients (csv, npz), where there is one.
        roles: number of clients, those with most to say (shakespeare); None for all with enough.
        test_fraction: part held out for testing; fashion_mnist keeps its own test part instead.
        seed: the public experiment seed; it decides the split only.
        tokenize: the model's tokenizer, which texts need.
        lives: whose dialogues, and how many of each (dialogues).

    Example:
        >>> data = load("digits", test_fraction=0.2, seed=7)
        >>> len(data.test), data.source_hash[:8]
        (360, '8f959862')

    Raises:
        DataError: whatever the loader refuses, and settings that do not fit the kind.
    """
    if kind not in KINDS:
        near = get_close_matches(kind, KINDS, n=1)
        raise DataError(
            f"data.kind: expected {', '.join(KINDS)}, got "
            f"{kind!r}{f'; did you mean {near[0]}?' if near else ''}"
        )
    _check_settings(kind, path, label, client, roles)
    if (lives is None) == (kind == "dialogues"):
        raise DataError(
            f"data.domain: expected lives with kind 'dialogues' and with no other, got kind {kind!r}; name "
            "or remove them"
        )
    if kind in TEXTS:
        return _load_texts(kind, path, roles, test_fraction, seed, tokenize, lives)
    if kind == "digits":
        return load_digits(test_fraction, seed)
    if kind == "mnist_5k":
        return load_mnist_5k(test_fraction, seed)
    if kind == "heart_disease":
        return load_heart_disease(test_fraction, seed)
    if kind == "fashion_mnist":
        return load_fashion_mnist(None if path is None else Path(path))
    if path is None or label is None:
        missing = "path" if path is None else "label"
        raise DataError(f"data.{missing}: expected with kind {kind!r}, got nothing; name it")
    read = load_csv if kind == "csv" else load_npz
    return read(Path(path), label, client, test_fraction, seed)


def _load_texts(
    kind: str,
    path: str | Path | None,
    roles: int | None,
    test_fraction: float,
    seed: int,
    tokenize: Tokenize | None,
    lives: Lives | None,
) -> Dataset:
    if tokenize is None:
        raise DataError(
            f"data.kind: expected a language model for texts, got {kind!r} without one; use model.kind "
            f"transformer"
        )
    if kind in CORPORA:
        return load_corpus(kind, tokenize)
    if kind == "shakespeare":
        return load_shakespeare(roles, tokenize, test_fraction, seed)
    if lives is not None:
        return load_dialogues(lives, seed, tokenize)
    if path is None:
        raise DataError(f"data.path: expected with kind {kind!r}, got nothing; name it")
    return load_jsonl(Path(path), tokenize, test_fraction, seed)


def _check_settings(
    kind: str, path: str | Path | None, label: str | None, client: str | None, roles: int | None
) -> None:
    allowed = _READS.get(kind, ())
    for key, value in (("path", path), ("label", label), ("client", client), ("roles", roles)):
        if value is not None and key not in allowed:
            raise DataError(f"data.{key}: expected nothing with kind {kind!r}, got {str(value)!r}; remove it")
