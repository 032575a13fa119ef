"""A user's own csv: every refusal names the file, the line and the column."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from securefl.data import Dataset, load
from securefl.data.tables import read_table, table_hash
from securefl.errors import DataError

GOOD = "site,age,dose,outcome\n" + "".join(
    f"{site},{age},{age / 2},{'ill' if age % 2 else 'well'}\n"
    for site in ("north", "south")
    for age in range(40, 50)
)


def read(folder: Path, text: str | bytes, **settings: object) -> Dataset:
    path = folder / "mine.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load("csv", path=path, **({"label": "outcome", "client": "site"} | settings))


def test_labels_and_clients_become_indices_and_the_rest_features(tmp_path: Path) -> None:
    data = read(tmp_path, GOOD)
    assert data.client_names == ("north", "south")
    assert data.label_names == ("ill", "well")
    assert data.feature_names == ("age", "dose")
    assert (len(data.train), len(data.test), data.classes) == (16, 4, 2)
    assert np.bincount(data.test_clients).tolist() == [2, 2]
    assert np.array_equal(data.train.labels, (data.train.features[:, 0] % 2 == 0).astype(int))


def test_the_client_column_is_optional(tmp_path: Path) -> None:
    data = read(tmp_path, GOOD.replace("north", "1").replace("south", "2"), client=None)
    assert data.client_names is None
    assert data.feature_names == ("site", "age", "dose")


def test_the_hash_is_of_the_content_however_it_is_written_and_used(tmp_path: Path) -> None:
    one = read(tmp_path, GOOD, seed=1)
    header, *rows = GOOD.splitlines()
    rewritten = "\ufeff" + "\r\n".join(
        [header, *('"' + row.replace(",", '","') + '"' for row in reversed(rows)), "", ""]
    )
    two = read(tmp_path, gzip.compress(rewritten.encode()), seed=2, test_fraction=0.5)
    three = read(tmp_path, GOOD, label="site", client="outcome")
    assert one.source_hash == two.source_hash == three.source_hash
    assert one.source_hash != read(tmp_path, GOOD.replace("40,20.0", "40,20.5", 1)).source_hash


BROKEN = [
    (GOOD.replace("41,20.5", "41,", 1), "line 3, column 'dose': expected a number, got a missing value"),
    (GOOD.replace("41,20.5", "41,NaN", 1), "line 3, column 'dose': expected a number, got a missing value"),
    (GOOD.replace("41,20.5", "41,inf", 1), "line 3, column 'dose': expected a finite 32-bit number"),
    (GOOD.replace("41,20.5", "41,1e39", 1), "line 3, column 'dose': expected a finite 32-bit number"),
    (GOOD.replace("42,", "old,", 1), "line 4, column 'age': expected a number, got 'old'"),
    (GOOD.replace("42,21.0", "42", 1), "line 4: expected 4 cells as in the header, got 3"),
    (GOOD.replace("well", "", 1), "line 2, column 'outcome': expected a value, got a missing one"),
    (GOOD.replace("north", "nan", 1), "line 2, column 'site': expected a value, got a missing one"),
    (GOOD.replace("ill", "well"), "at least two classes in column 'outcome'"),
    (GOOD.replace("ill", "0.25").replace("well", "1"), "column 'outcome': expected whole numbers or words"),
    (GOOD.replace("dose", "age"), "a name of its own per column, got 'age'"),
    (GOOD.replace("dose", ""), "a name of its own per column, got ''"),
    (GOOD.replace(",", ";"), "separated by commas"),
    (GOOD.splitlines()[0], "rows below the header"),
    ("", "column names in the first line"),
    (b"site,age\n\xff\xfe,1\n", "expected UTF-8"),
    (GOOD + 'north,"1,2,3', "expected comma-separated cells"),
    (GOOD + "north," + "9" * 200_000, "expected comma-separated cells"),
    ("site,outcome\nnorth,0\nsouth,1\n", "expected feature columns"),
    ("a,site,outcome\n1,n,0\n1,s,1\n", "expected a test part, got none"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BROKEN, ids=[message[:40] for _, message in BROKEN])
def test_a_broken_table_is_refused_with_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        read(tmp_path, text)
    assert str(tmp_path / "mine.csv") in str(refused.value) or "test part" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "outcom"}, "data.label to name a column, got 'outcom'; did you mean 'outcome'"),
        ({"client": "hospital"}, "data.client to name a column, got 'hospital'; columns: site, age"),
        ({"client": "outcome"}, "both column 'outcome'"),
        ({"label": None}, "data.label: expected with kind 'csv', got nothing"),
    ],
)
def test_a_column_that_is_not_there_is_refused(tmp_path: Path, change, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, GOOD, **change)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.binary(max_size=80) | st.text(st.sampled_from('ab1.,"\n\r\x00 nan'), max_size=60).map(str.encode))
def test_any_bytes_end_in_a_table_or_a_data_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fuzz.csv").write_bytes(content)
    try:
        table = read_table(tmp_path / "fuzz.csv")
        assert len(table_hash(table)) == 64
        load("csv", path=tmp_path / "fuzz.csv", label=table.columns[0])
    except DataError as refused:
        assert str(refused)
