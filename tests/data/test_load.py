"""The one door: kinds, and settings that do not fit them."""

import subprocess
import sys
from pathlib import Path

import pytest

from securefl.data import KINDS, load
from securefl.data.load import TEXTS
from securefl.errors import DataError


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("digit", {}, "got 'digit'; did you mean digits"),
        ("digits", {"path": "x.csv"}, "data.path: expected nothing with kind 'digits', got 'x.csv'"),
        ("mnist_5k", {"label": "y"}, "data.label: expected nothing"),
        ("heart_disease", {"client": "dataset"}, "data.client: expected nothing"),
        ("fashion_mnist", {"label": "y"}, "data.label: expected nothing"),
        ("csv", {"label": "y"}, "data.path: expected with kind 'csv', got nothing"),
        ("npz", {"path": "x.npz"}, "data.label: expected with kind 'npz', got nothing"),
        ("csv", {"path": Path("nowhere.csv"), "label": "y"}, "nowhere.csv: expected a file"),
        ("digits", {"test_fraction": 1.5}, "test_fraction"),
    ],
)
def test_settings_that_do_not_fit_the_kind_are_refused(kind: str, settings, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(kind, **settings)


def test_all_kinds_are_named() -> None:
    assert set(KINDS) == {"digits", "fashion_mnist", "mnist_5k", "heart_disease", "csv", "npz"} | set(TEXTS)


def test_importing_the_data_package_imports_neither_torch_nor_scikit_learn() -> None:
    code = "import sys, securefl.data; assert not {'torch', 'sklearn', 'opacus'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
