"""The habit of the benchmarks: goals that are missed are written down like goals that are met."""

from __future__ import annotations

import doctest
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "bench.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("securefl_bench_under_test", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def test_its_doctests_hold(bench: ModuleType) -> None:
    assert doctest.testmod(bench).failed == 0


def test_a_missed_goal_and_a_nan_are_checks_that_do_not_hold(bench: ModuleType) -> None:
    assert not bench.at_most("share", 0.26, 0.25, "of a round").holds
    assert not bench.at_least("accuracy", 0.87, 0.88, "").holds
    assert not bench.at_most("share", float("nan"), 0.25, "of a round").holds
    assert bench.at_least("accuracy", 0.88, 0.88, "").goal == ">= 0.88"


def test_the_result_file_has_machine_versions_command_and_every_check(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results")
    checks = [bench.at_most("fast", 1.0, 2.0, "s"), bench.at_most("small", 3.0, 2.0, "MB")]
    path = bench.finish("demo", checks, [{"run": "a", "share": 0.5}], ["one part was left out"])
    result = json.loads(path.read_text(encoding="utf-8"))
    assert path == tmp_path / "results" / "demo.json"
    assert result["checks"] == [
        {"name": "fast", "value": 1.0, "unit": "s", "goal": "<= 2", "holds": True},
        {"name": "small", "value": 3.0, "unit": "MB", "goal": "<= 2", "holds": False},
    ]
    assert {"machine", "versions", "command", "figures", "notes", "when"} <= result.keys()
    assert result["versions"]["python"]
    assert "NO" in capsys.readouterr().out
