"""Arrays in an npz file: features of any shape, an array of labels, optionally one of clients.

Rules kept here:
- Members are parsed here from their bytes: header and length must agree before an array exists, sizes
  are capped, and only plain numbers and text are read, so nothing is ever unpickled.
- The source hash covers every array of the file row by row, numbers by value.

What this file does NOT do: object or structured arrays; several feature arrays.

Reference: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays".
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from securefl.data.columns import encode
from securefl.data.examples import Dataset
from securefl.data.source import MIB, Source, content_hash, read_capped, read_chunks
from securefl.data.split import split
from securefl.errors import DataError

Arrays = Mapping[str, NDArray[np.generic]]
FEATURE_NAMES = ("features", "x", "X")
_CAP_BYTES = 1024 * MIB
_CAP_MEMBERS = 32


def load_npz(path: Path, label: str, client: str | None, test_fraction: float, seed: int) -> Dataset:
    """A user's own arrays. The features are the array `features`, `x` or `X`, or the only one left.

    Raises:
        DataError: unreadable, an array missing or of another length, values that are not finite.
    """
    arrays = read_npz(path)
    for key, name in (("label", label), ("client", client)):
        if name is not None:
            _require_column(path, arrays, key, name)
    if label == client:
        raise DataError(f"{path}: label and client are both array {label!r}; name two arrays")
    features = _features(path, arrays, label, client)
    _check_lengths(path, arrays, len(features))
    labels, label_names = encode(_cells(path, arrays[label], label), f"{path}: label array {label!r}")
    if len(label_names) < 2:
        raise DataError(f"{path}: expected at least two classes in {label!r}, got only {label_names[0]!r}")
    clients, client_names = None, None
    if client is not None:
        clients, client_names = encode(
            _cells(path, arrays[client], client), f"{path}: client array {client!r}"
        )
    source = Source(
        name=path.stem,
        features=features,
        labels=labels,
        label_names=label_names,
        source_hash=content_hash(_hash_header(arrays), _hash_rows(arrays)),
        clients=clients,
        client_names=client_names,
        description=f"Your own arrays: {len(features):,} examples of {features.shape[1:]}, not scaled.",
    )
    return split(source, test_fraction, seed)


def read_npz(path: Path) -> dict[str, NDArray[np.generic]]:
    """Every array of an npz file by name.

    Raises:
        DataError: no zip file, too many or too large members, headers that lie, objects.
    """
    content = read_capped(path, _CAP_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            infos = members.infolist()
            _check_members(path, infos)
            return {
                info.filename.removesuffix(".npy"): parse_npy(
                    path, info.filename, _member(path, members, info)
                )
                for info in infos
            }
    except DataError:
        raise
    except Exception as error:  # zipfile fails in many ways on damaged bytes, most of them undocumented
        raise DataError(
            f"{path}: expected a whole npz file, got {error}; write it with numpy.savez or savez_compressed"
        ) from error


def parse_npy(path: Path, member: str, content: bytes | bytearray) -> NDArray[np.generic]:
    """One array from the bytes of an npy member. `path` and `member` are for the message only.

    Raises:
        DataError: another format, no plain numbers or text, another length than the header's.
    """
    shape, fortran, dtype, start = _npy_header(path, member, content)
    if dtype.kind not in "biufUS" or dtype.itemsize == 0:
        raise DataError(
            f"{path}: {member}: expected plain numbers or text, got {dtype}; objects are never unpickled. "
            "Save "
            "the array with a numeric or text type"
        )
    size = math.prod(shape) * dtype.itemsize
    if len(content) - start != size or any(length < 0 for length in shape):
        raise DataError(
            f"{path}: {member}: its header says {shape} of {dtype} = {size} bytes, got "
            f"{len(content) - start}; "
            "write the file again"
        )
    flat = np.frombuffer(content, dtype=dtype, offset=start)
    return flat.reshape(shape, order="F" if fortran else "C")


def _npy_header(
    path: Path, member: str, content: bytes | bytearray
) -> tuple[tuple[int, ...], bool, np.dtype[np.generic], int]:
    file = io.BytesIO(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on headers of Python 2; read like any other
            version = npy.read_magic(file)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"version {version}")
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(file)
    except Exception as error:  # numpy evaluates the header as a literal, which fails in many ways
        raise DataError(
            f"{path}: {member}: expected an npy header of version 1 or 2, got {str(error)[:120]}; write "
            "the file again"
        ) from error
    return shape, fortran, dtype, file.tell()


def _member(path: Path, members: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytearray:
    with members.open(info) as packed:
        return read_chunks(cast(BinaryIO, packed), path, _CAP_BYTES)


def _check_members(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    names = [info.filename for info in infos]
    if not 0 < len(names) <= _CAP_MEMBERS or len(set(names)) != len(names):
        raise DataError(
            f"{path}: expected 1 to {_CAP_MEMBERS} arrays of different names, got {len(names)}; save only "
            "the "
            "arrays that are needed"
        )
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        # zipfile unpacks the others in one go, whatever they grow to.
        raise DataError(f"{path}: expected stored or deflated members; write it with numpy.savez_compressed")
    total = sum(info.file_size for info in infos)
    if total > _CAP_BYTES:
        raise DataError(f"{path}: expected at most {_CAP_BYTES} bytes unpacked, got {total}; split the data")


def _features(path: Path, arrays: Arrays, label: str, client: str | None) -> NDArray[np.float32]:
    left = [name for name in arrays if name not in (label, client)]
    named = [name for name in FEATURE_NAMES if name in left]
    if not named and len(left) != 1:
        raise DataError(
            f"{path}: expected features in an array named {', '.join(FEATURE_NAMES)}, or one array beside "
            "label and "
            f"client, got {left or 'none'}; rename the features to 'features'"
        )
    name = named[0] if named else left[0]
    values = arrays[name]
    if values.ndim < 2 or values.dtype.kind not in "biuf" or not values.size:
        raise DataError(
            f"{path}: array {name!r}: expected numbers of shape (examples, ...), got {values.dtype} of "
            f"{values.shape}; save numbers with one row per example, as features.reshape(n, -1) does"
        )
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite and is refused below
        floats = values.astype(np.float32, order="C")
    finite = np.isfinite(floats)
    if not finite.all():
        row, *column = (int(i) for i in np.argwhere(~finite)[0])
        raise DataError(
            f"{path}: array {name!r}, row {row}, column {', '.join(map(str, column))}: expected a finite "
            "32-bit "
            f"number, got {values[(row, *column)]}; impute it (at each client) or drop the row"
        )
    return floats


def _require_column(path: Path, arrays: Arrays, key: str, name: str) -> None:
    if name not in arrays:
        raise DataError(
            f"{path}: expected data.{key} to name an array, got {name!r}; arrays: {', '.join(arrays)}"
        )
    if arrays[name].ndim != 1:
        raise DataError(
            f"{path}: {key} array {name!r}: expected shape (examples,), got {arrays[name].shape}; for "
            "one-hot labels "
            "save their argmax"
        )


def _check_lengths(path: Path, arrays: Arrays, rows: int) -> None:
    for name, values in arrays.items():
        if values.ndim == 0 or len(values) != rows:
            raise DataError(
                f"{path}: array {name!r}: expected one row per example ({rows}), got shape {values.shape}; "
                "save only "
                "arrays with a row per example"
            )


def _cells(path: Path, values: NDArray[np.generic], name: str) -> list[str]:
    if values.dtype.kind == "S":
        try:
            return [bytes(value).decode() for value in values.tolist()]
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: array {name!r}: expected UTF-8 text, got {error}") from error
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise DataError(
            f"{path}: array {name!r}, row {row}: expected a value, got {values[row]}; complete or drop the "
            "row"
        )
    return [str(int(value)) if isinstance(value, bool) else str(value) for value in values.tolist()]


def _hash_header(arrays: Arrays) -> bytes:
    parts = [(name, values.dtype.kind in "US", values.shape[1:]) for name, values in sorted(arrays.items())]
    return repr(["arrays", *parts]).encode()


def _hash_rows(arrays: Arrays) -> Iterator[bytes]:
    """Rows across all arrays in order of their names; numbers as float64, text by length."""
    columns = [arrays[name] for name in sorted(arrays)]
    for row in range(len(columns[0])):
        yield b"".join(map(_row_bytes, (values[row] for values in columns)))


def _row_bytes(row: NDArray[np.generic] | np.generic) -> bytes:
    values = np.asarray(row)
    if values.dtype.kind in "US":
        cells = [str(cell).encode("utf-8", "surrogatepass") for cell in values.ravel().tolist()]
        return b"".join(len(cell).to_bytes(8, "big") + cell for cell in cells)
    return (values.astype("<f8") + 0.0).tobytes()
