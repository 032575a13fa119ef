"""A user's own npz: parsed without pickle, headers checked before arrays exist."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from securefl.data import Dataset, load
from securefl.data.arrays import parse_npy, read_npz
from securefl.errors import DataError

LABELS = np.arange(20) % 2
IMAGES = np.random.default_rng(5).integers(0, 256, (20, 1, 3, 2)).astype(np.uint8)
SITES = np.repeat(["b", "a"], 10)


def read(folder: Path, arrays: dict[str, np.ndarray], **settings: object) -> Dataset:
    path = folder / "mine.npz"
    np.savez_compressed(path, **arrays)
    return load("npz", path=path, **({"label": "y"} | settings))


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode() + content


def test_features_of_any_shape_with_text_clients_are_read(tmp_path: Path) -> None:
    data = read(tmp_path, {"x": IMAGES, "y": LABELS, "site": SITES}, client="site")
    assert data.shape == (1, 3, 2)
    assert data.client_names == ("a", "b")
    assert np.bincount(data.test_clients).tolist() == [2, 2]


@pytest.mark.parametrize(
    "labels", [LABELS.astype(bool), LABELS.astype(np.float32), LABELS.astype(np.uint8), LABELS.astype("S1")]
)
def test_labels_of_any_plain_type_name_the_same_classes(tmp_path: Path, labels: np.ndarray) -> None:
    data = read(tmp_path, {"pixels": IMAGES, "y": labels})
    assert data.label_names in {("0", "1"), ("0.0", "1.0")}
    assert data.classes == 2


def test_the_hash_ignores_type_width_order_path_and_split(tmp_path: Path) -> None:
    one = read(tmp_path, {"x": IMAGES, "y": LABELS})
    back = slice(None, None, -1)
    two = read(
        tmp_path,
        {"y": LABELS[back].astype(np.int16), "x": np.asfortranarray(IMAGES[back], np.float64)},
        seed=3,
    )
    assert one.source_hash == two.source_hash
    assert one.source_hash != read(tmp_path, {"x": IMAGES, "y": 1 - LABELS}).source_hash


BAD_FEATURES = np.where(np.arange(40).reshape(20, 2) == 7, np.nan, 1.0)
BROKEN = [
    ({"x": BAD_FEATURES, "y": LABELS}, {}, "array 'x', row 3, column 1: expected a finite"),
    ({"x": IMAGES, "y": LABELS[:-1]}, {}, "array 'y': expected one row per example \\(20\\)"),
    ({"x": IMAGES, "y": np.eye(20)}, {}, "label array 'y': expected shape"),
    ({"x": IMAGES, "y": np.zeros(20)}, {}, "at least two classes"),
    ({"x": IMAGES, "y": np.full(20, np.nan)}, {}, "array 'y', row 0: expected a value"),
    ({"x": IMAGES, "y": LABELS / 2}, {}, "expected whole numbers or words"),
    ({"x": IMAGES, "y": LABELS}, {"label": "z"}, "data.label to name an array, got 'z'; arrays: x, y"),
    ({"x": IMAGES, "y": LABELS}, {"client": "y"}, "both array 'y'"),
    ({"a": IMAGES, "b": IMAGES, "y": LABELS}, {}, "rename the features"),
    ({"x": np.zeros(20), "y": LABELS}, {}, "expected numbers of shape .* save numbers with one row"),
    ({"x": IMAGES.astype("U3"), "y": LABELS}, {}, "expected numbers of shape"),
    ({"x": IMAGES, "y": LABELS.astype(object)}, {}, "objects are never unpickled"),
    ({"x": IMAGES, "y": LABELS, "z": np.zeros(3)}, {}, "array 'z': expected one row per example"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "change", "message"), BROKEN, ids=[m[:40] for *_, m in BROKEN])
def test_broken_arrays_are_refused_with_their_place(tmp_path: Path, arrays, change, message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        read(tmp_path, arrays, **change)
    assert "mine.npz" in str(refused.value)


@pytest.mark.parametrize(
    "member",
    [
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}\n"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}\n", bytes(8)),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n", bytes(8)),
        npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}\n", bytes(8)),
        npy("{'descr': '<U0', 'fortran_order': False, 'shape': (9,)}\n"),
        npy("__import__('os').system('true')\n"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}\n", bytes(8), version=b"\x03\x00"),
        npy("(" * 5000),
        b"",
        b"\x80\x04.",
    ],
)
def test_a_header_that_lies_or_is_none_is_refused(member: bytes) -> None:
    with pytest.raises(DataError, match=r"f\.npz: x\.npy: (expected|its header says)"):
        parse_npy(Path("f.npz"), "x.npy", member)


def archive(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return path


def test_archives_with_too_many_or_unbounded_members_are_refused(tmp_path: Path) -> None:
    many = archive(tmp_path / "many.npz", [(f"{i}.npy", b"") for i in range(33)])
    with pytest.raises(DataError, match="expected 1 to 32 arrays"):
        read_npz(many)
    with pytest.raises(DataError, match="expected stored or deflated"):
        read_npz(archive(tmp_path / "bz.npz", [("x.npy", bytes(100))], zipfile.ZIP_BZIP2))


def test_an_archive_that_states_more_than_the_cap_is_refused_unread(tmp_path: Path) -> None:
    content = bytearray(archive(tmp_path / "x.npz", [("x.npy", bytes(100))]).read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24  # the unpacked size in the central directory
    content[at : at + 4] = (0xF0000000).to_bytes(4, "little")
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match="expected at most 1073741824 bytes unpacked"):
        read_npz(tmp_path / "x.npz")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4), st.booleans()
)
def test_flipped_bytes_end_in_arrays_or_a_data_error(tmp_path: Path, flips, stored: bool) -> None:
    file = io.BytesIO()
    (np.savez if stored else np.savez_compressed)(file, x=IMAGES, y=LABELS)
    content = bytearray(file.getvalue())
    for at, value in flips:
        content[at % len(content)] = value
    (tmp_path / "fuzz.npz").write_bytes(content)
    try:
        load("npz", path=tmp_path / "fuzz.npz", label="y")
    except DataError as refused:
        assert str(refused)


def test_an_archive_whose_directory_points_before_the_file_is_refused(tmp_path: Path) -> None:
    content = bytearray(archive(tmp_path / "x.npz", [("x.npy", bytes(100))]).read_bytes())
    at = content.rindex(b"PK\x05\x06") + 16  # where the central directory says it starts
    content[at : at + 4] = (int.from_bytes(content[at : at + 4], "little") + 9).to_bytes(4, "little")
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match="expected a whole npz file"):
        read_npz(tmp_path / "x.npz")
