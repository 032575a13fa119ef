"""IDX files: what the header says must be there to the byte."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from securefl.data import load
from securefl.data.idx import DEBIAN_FOLDER, DEBIAN_PACKAGE, load_fashion_mnist, read_idx
from securefl.errors import DataError

NAMES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def idx(values: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes((0, 0, 8, values.ndim)) + sizes + values.astype(np.uint8).tobytes()


def write_folder(folder: Path, packed: bool = True, **parts: np.ndarray) -> Path:
    random = np.random.default_rng(1)
    arrays = {
        NAMES[0]: random.integers(0, 256, (20, 4, 3)), NAMES[1]: np.arange(20) % 10,
        NAMES[2]: random.integers(0, 256, (10, 4, 3)), NAMES[3]: np.arange(10),
    } | {name.replace("_", "-"): values for name, values in parts.items()}  # fmt: skip
    folder.mkdir(exist_ok=True)
    for name, values in arrays.items():
        content = gzip.compress(idx(values)) if packed else idx(values)
        (folder / f"{name}-ubyte{'.gz' if packed else ''}").write_bytes(content)
    return folder


def test_a_users_own_folder_is_read_packed_or_plain_with_one_hash(tmp_path: Path) -> None:
    packed = load("fashion_mnist", path=write_folder(tmp_path / "a"))
    plain = load("fashion_mnist", path=str(write_folder(tmp_path / "b", packed=False)))
    assert (len(packed.train), len(packed.test), packed.shape) == (20, 10, (1, 4, 3))
    assert packed.source_hash == plain.source_hash
    assert np.array_equal(packed.train.features, plain.train.features)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3).filter(lambda sizes: math.prod(sizes) != 5)
)
def test_a_header_that_lies_is_refused_before_anything_of_its_size_exists(
    tmp_path: Path, shape: list[int]
) -> None:
    path = tmp_path / "lying"
    path.write_bytes(bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in shape) + bytes(5))
    with pytest.raises(DataError, match="its header says"):
        read_idx(path, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x00\x08",
        b"\x00\x00\x0d\x01\x00\x00\x00\x00",
        b"\x89PNG\r\n\x1a\n" + bytes(20),
        idx(np.zeros((2, 2))),
    ],
)
def test_what_is_no_idx_of_these_dimensions_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match="expected IDX magic 00000801"):
        read_idx(tmp_path / "x", 1)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train_labels_idx1": np.zeros(19)}, "one label per image"),
        ({"t10k_labels_idx1": np.full(10, 10)}, "expected labels 0 to 9, got 10 in row 0"),
        ({"t10k_images_idx3": np.zeros((10, 3, 4))}, r"expected test images of \(4, 3\)"),
        ({"train_images_idx3": np.zeros((0, 4, 3)), "train_labels_idx1": np.zeros(0)}, "at least one pixel"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path: Path, parts, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_fashion_mnist(write_folder(tmp_path, **parts))


def test_a_missing_folder_names_the_debian_package_and_a_missing_file_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=DEBIAN_PACKAGE):
        load_fashion_mnist(tmp_path / "nowhere")
    write_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        load_fashion_mnist(tmp_path)


@pytest.mark.skipif(
    not DEBIAN_FOLDER.is_dir(), reason=f"needs the Debian package {DEBIAN_PACKAGE} (make data)"
)
def test_the_debian_package_holds_fashion_mnist() -> None:
    data = load("fashion_mnist")
    assert (len(data.train), len(data.test), data.shape) == (60_000, 10_000, (1, 28, 28))
    assert np.bincount(data.train.labels).tolist() == [6000] * 10
    assert data.source_hash == "4aa7aac024ab4ccc18cad7e53bd32994172cd182ed6f8fcdc44bcf9f639ffe57"
