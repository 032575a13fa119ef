"""Label and client columns: any integers or words become indices 0 to k - 1 in sorted order.

Rules kept here:
- Whole numbers sort as numbers (2 before 10), anything else as text; 1 and 1.0 are one value.
- Fractions are no classes: a column of measurements is refused instead of giving a class per value.

What this file does NOT do: features (`tables`, `arrays`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from securefl.errors import DataError

MAX_VALUES = 1 << 16


def encode(cells: Sequence[str], what: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Index per cell and the sorted names. `what` names the column in errors.

    Example:
        >>> ids, names = encode(["10", "2", "2.0"], "label")
        >>> ids.tolist(), names
        ([1, 0, 0], ('2', '10'))

    Raises:
        DataError: fractions, or more than MAX_VALUES different values.
    """
    texts = [cell.strip() for cell in cells]
    numbers = {text: number(text) for text in set(texts)}
    if len(numbers) > MAX_VALUES:
        raise DataError(f"{what}: expected at most {MAX_VALUES} different values, got {len(numbers)}")
    if any(value is None for value in numbers.values()):
        names = tuple(sorted(numbers))
        index = {name: i for i, name in enumerate(names)}
        return _lookup(texts, index), names
    return _encode_whole(texts, {text: value for text, value in numbers.items() if value is not None}, what)


def number(text: str) -> float | None:
    """The number that a cell spells, or None; `1_000` is a word here although Python reads it.

    Example:
        >>> number(" 2.50 "), number("1_000"), number("")
        (2.5, None, None)
    """
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _encode_whole(
    texts: list[str], numbers: dict[str, float], what: str
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    whole: dict[str, int] = {}
    for text, value in numbers.items():
        if not np.isfinite(value) or value != int(value):
            raise DataError(
                f"{what}: expected whole numbers or words, got {text!r}; bin a measurement into classes first"
            )
        # Long ids do not fit a float exactly; digits are read as digits.
        whole[text] = int(text) if text.lstrip("+-").isdecimal() else int(value)
    values = sorted(set(whole.values()))
    place = {value: i for i, value in enumerate(values)}
    return _lookup(texts, {text: place[value] for text, value in whole.items()}), tuple(map(str, values))


def _lookup(texts: list[str], index: dict[str, int]) -> NDArray[np.int64]:
    return np.array([index[text] for text in texts], dtype=np.int64)
