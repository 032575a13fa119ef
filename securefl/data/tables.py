"""Comma-separated tables: one row per example, a column for the label, optionally one for the client.

Rules kept here:
- Every other column is a feature and must hold a finite number in every row; the first cell that does
  not is named by column and line. Nothing is imputed or scaled behind the user's back.
- The source hash covers all cells of all columns, numbers by value: line ends, quoting, the order of
  rows and columns and the choice of label and client column do not change it.

What this file does NOT do: categories in features, other separators, missing values.
"""

from __future__ import annotations

import csv
import io
import json
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from securefl.data.columns import encode, number
from securefl.data.examples import Dataset
from securefl.data.source import MIB, Source, content_hash, read_capped
from securefl.data.split import split
from securefl.errors import DataError

_CAP_BYTES = 128 * MIB  # about ten times as much in memory; npz takes larger sets
_LARGEST = float(np.finfo(np.float32).max)
_MISSING = ("", "na", "n/a", "null", "none", "?")


@dataclass(frozen=True)
class Table:
    """A parsed table. `lines` holds, for each row, the line of the file where it ends."""

    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    def cells(self, column: str) -> list[str]:
        """One column, top to bottom."""
        at = self.columns.index(column)
        return [row[at] for row in self.rows]


def load_csv(path: Path, label: str, client: str | None, test_fraction: float, seed: int) -> Dataset:
    """A user's own table.

    Raises:
        DataError: unreadable, ragged, a column missing, a cell that is no finite number, a single class.
    """
    table = read_table(path)
    for key, column in (("label", label), ("client", client)):
        if column is not None:
            _require(path, table, key, column)
    if label == client:
        raise DataError(f"{path}: label and client are both column {label!r}; name two columns")
    _check_present(path, table, [label] if client is None else [label, client])
    labels, label_names = encode(table.cells(label), f"{path}: label column {label!r}")
    clients, client_names = None, None
    if client is not None:
        clients, client_names = encode(table.cells(client), f"{path}: client column {client!r}")
    names = tuple(column for column in table.columns if column not in (label, client))
    source = Source(
        name=path.stem,
        features=_features(path, table, names),
        labels=labels,
        label_names=label_names,
        source_hash=table_hash(table),
        clients=clients,
        client_names=client_names,
        feature_names=names,
        description=f"Your own table: {len(table.rows):,} rows, {len(names)} features, not scaled.",
    )
    _check_classes(path, label, label_names)
    return split(source, test_fraction, seed)


def read_table(path: Path) -> Table:
    """The header and rows of a comma-separated UTF-8 file; empty lines are passed over.

    Raises:
        DataError: unreadable, no UTF-8, bad quoting, no header, no row, a row of another length.
    """
    content = read_capped(path, _CAP_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text, got {error}; save it as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    table = Table(_header(path, reader), [], [])
    for row in _guarded(path, reader):
        if not row:
            continue
        if len(row) != len(table.columns):
            raise DataError(
                f"{path}: line {reader.line_num}: expected {len(table.columns)} cells as in the header, got "
                f"{len(row)}; correct the line"
            )
        table.rows.append(row)
        table.lines.append(reader.line_num)
    if not table.rows:
        raise DataError(f"{path}: expected rows below the header, got none; give a table with data")
    return table


def table_hash(table: Table) -> str:
    """The content hash of a table, columns in order of their names.

    Example:
        >>> one = Table(("a", "b"), [["1", "x"], ["2.0", "y"]], [2, 3])
        >>> two = Table(("b", "a"), [["y", "2"], ["x", " 1.0"]], [2, 3])
        >>> table_hash(one) == table_hash(two)
        True
    """
    order = sorted(range(len(table.columns)), key=table.columns.__getitem__)
    header = json.dumps(["table", *(table.columns[i] for i in order)])
    return content_hash(
        header.encode(), (json.dumps([_canonical(row[i]) for i in order]).encode() for row in table.rows)
    )


def _features(path: Path, table: Table, names: tuple[str, ...]) -> NDArray[np.float32]:
    if not names:
        raise DataError(f"{path}: expected feature columns beside label and client, got none; add some")
    places = [(name, table.columns.index(name)) for name in names]
    values = array("d")
    for row, line in zip(table.rows, table.lines, strict=True):
        for name, place in places:
            value = number(row[place])
            if value is None or not abs(value) <= _LARGEST:  # `not <=` also catches NaN
                raise _bad_cell(path, name, line, row[place])
            values.append(value)
    return np.frombuffer(values, dtype=np.float64).astype(np.float32).reshape(len(table.rows), len(names))


def _bad_cell(path: Path, column: str, line: int, cell: str) -> DataError:
    value = number(cell)
    where = f"{path}: line {line}, column {column!r}"
    if cell.strip().lower() in _MISSING or (value is not None and math.isnan(value)):
        return DataError(
            f"{where}: expected a number, got a missing value ({cell!r}); impute it (at each client) or "
            "drop the row"
        )
    if value is not None:
        return DataError(f"{where}: expected a finite 32-bit number, got {cell!r}; correct or rescale it")
    return DataError(
        f"{where}: expected a number, got {cell[:40]!r}; encode the column as numbers (one column of 0 and "
        "1 per "
        "category) or remove it"
    )


def _check_present(path: Path, table: Table, columns: list[str]) -> None:
    for column in columns:
        for cell, line in zip(table.cells(column), table.lines, strict=True):
            if cell.strip().lower() in (*_MISSING, "nan"):
                raise DataError(
                    f"{path}: line {line}, column {column!r}: expected a value, got a missing one "
                    f"({cell!r}); "
                    "complete or drop the row"
                )


def _check_classes(path: Path, label: str, names: tuple[str, ...]) -> None:
    if len(names) < 2:
        raise DataError(
            f"{path}: expected at least two classes in column {label!r}, got only {names[0]!r}; there is "
            "nothing "
            "to learn. Name another label column"
        )


def _header(path: Path, reader: Iterator[list[str]]) -> tuple[str, ...]:
    first = next(_guarded(path, reader), [])
    columns = tuple(name.strip() for name in first)
    if not any(columns):
        raise DataError(f"{path}: expected column names in the first line, got an empty one; add a header")
    if len(columns) == 1:
        raise DataError(
            f"{path}: expected several columns separated by commas, got one ({columns[0][:60]!r}); save it "
            "with commas"
        )
    for name in columns:
        if not name or columns.count(name) > 1:
            raise DataError(f"{path}: expected a name of its own per column, got {name!r}; rename it")
    return columns


def _guarded(path: Path, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        line = getattr(reader, "line_num", 0)
        raise DataError(
            f"{path}: line {line}: expected comma-separated cells, got {error}; correct it"
        ) from error


def _require(path: Path, table: Table, key: str, column: str) -> None:
    if column not in table.columns:
        near = get_close_matches(column, table.columns, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        some = ", ".join(table.columns[:20])
        raise DataError(
            f"{path}: expected data.{key} to name a column, got {column!r}; {hint}columns: {some}"
        )


def _canonical(cell: str) -> str | float:
    value = number(cell)
    return cell.strip() if value is None else value + 0.0  # -0.0 and 0.0 are one value
