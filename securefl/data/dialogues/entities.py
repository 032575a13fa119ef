"""Private entities: names and codes that one client knows and no other one, synthetic like all of this room.

Rules kept here:
- An entity belongs to one (client, domain) only: all are dealt from one shuffled deck per seed, disjoint by
  construction, whatever the number of clients that are asked for.
- Names are six letters, codes one letter and four digits, so none is part of another.

What this file does NOT do: keep secrets. The seed is public; the entities only stand in for private ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from securefl.data.split import public_generator
from securefl.errors import DataError

MOST_CLIENTS = 2000
EACH = 24
"""Names, and codes, of one client in one domain."""
_TEST = 8
_PUBLIC = 20_000
_WORDS = 4_000
_DOMAINS = 4
_TAG = 0xE471
_SYLLABLES = tuple(f"{consonant}{vowel}" for consonant in "bdfgjklmnprstvwz" for vowel in "aeiou")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_SOUNDS = (tuple("aeiou"), tuple("bcdfghjklmnpqrstvwxyz"))
_NAMES = len(_SYLLABLES) ** 3
_CODES = len(_LETTERS) * 10**4


@dataclass(frozen=True)
class Entities:
    """The entities of one client in one domain; those of the test part are in no training dialogue."""

    train: tuple[str, ...]
    test: tuple[str, ...]


def names(seed: int, client: int, domain: int) -> Entities:
    """The people that a client knows.

    Args:
        seed: the public experiment seed.
        client: from 0.
        domain: the domain's place in `DOMAINS`.

    Raises:
        DataError: a client outside the deck.
    """
    return _split(tuple(_name(int(at)) for at in _hand(seed, _NAMES, client, domain)))


def codes(seed: int, client: int, domain: int) -> Entities:
    """The codes of a client's orders, doors, files or cases; arguments and refusals as for `names`."""
    return _split(tuple(_code(int(at)) for at in _hand(seed, _CODES, client, domain)))


def public_names(seed: int) -> tuple[str, ...]:
    """Names that no client has, so many that whoever learns from them learns to copy and not to remember."""
    return tuple(_name(int(at)) for at in _rest(seed, _NAMES))


def public_codes(seed: int) -> tuple[str, ...]:
    """Codes that no client has."""
    return tuple(_code(int(at)) for at in _rest(seed, _CODES))


@lru_cache(maxsize=4)
def public_words(seed: int) -> tuple[str, ...]:
    """Words that mean nothing, one or two at a time, to stand where any word may: to be copied as well."""
    random = public_generator(seed, _TAG + 1)

    def word() -> str:
        begin, length = int(random.integers(2)), int(random.integers(4, 8))
        return "".join(str(random.choice(_SOUNDS[(begin + at) % 2])) for at in range(length))

    return tuple(" ".join(word() for _ in range(int(random.integers(1, 3)))) for _ in range(_WORDS))


def private_entities(seed: int, client: int, domain: int) -> tuple[str, ...]:
    """Everything that only this client knows."""
    people, numbers = names(seed, client, domain), codes(seed, client, domain)
    return (*people.train, *people.test, *numbers.train, *numbers.test)


def _hand(seed: int, size: int, client: int, domain: int) -> NDArray[np.int64]:
    if not (0 <= client < MOST_CLIENTS and 0 <= domain < _DOMAINS):
        raise DataError(
            f"expected a client from 0 to {MOST_CLIENTS - 1}, got {client}; the deck has no more entities"
        )
    begin = (client * _DOMAINS + domain) * EACH
    return _deck(seed, size)[begin : begin + EACH]


def _rest(seed: int, size: int) -> NDArray[np.int64]:
    begin = MOST_CLIENTS * _DOMAINS * EACH
    return _deck(seed, size)[begin : begin + _PUBLIC]


@lru_cache(maxsize=4)
def _deck(seed: int, size: int) -> NDArray[np.int64]:
    return public_generator(seed, _TAG).permutation(size)


def _name(at: int) -> str:
    base = len(_SYLLABLES)
    first, second, third = at // base**2, at // base % base, at % base
    return (_SYLLABLES[first] + _SYLLABLES[second] + _SYLLABLES[third]).capitalize()


def _code(at: int) -> str:
    return f"{_LETTERS[at // 10**4]}{at % 10**4:04d}"


def _split(all_of_them: tuple[str, ...]) -> Entities:
    return Entities(all_of_them[:-_TEST], all_of_them[-_TEST:])
