from __future__ import annotations

from pathlib import Path

import pytest

from securefl.threats.proof import Fate, missing, read, root_of, verdict
from securefl.threats.verdict import Word

CASE = '<testcase classname="tests.a" name="test_b{parameters}">{fate}</testcase>'


def report(*fates: str) -> str:
    cases = (
        CASE.format(parameters=f"[{at}]", fate=f"<{fate}/>" if fate else "") for at, fate in enumerate(fates)
    )
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


@pytest.mark.parametrize(
    ("fates", "worst"),
    [
        (["", ""], "passed"),
        (["", "skipped"], "skipped"),
        (["failure", "", "skipped"], "failed"),
        (["", "error"], "failed"),
    ],
)
def test_a_test_fares_as_its_worst_parameters(fates: list[str], worst: Fate) -> None:
    assert read(report(*fates)) == {"tests/a.py::test_b": worst}


def test_a_test_that_pytest_does_not_report_shows_nothing() -> None:
    found = verdict(["tests/a.py::test_b", "tests/a.py::test_c"], {"tests/a.py::test_b": "passed"})
    assert (found.word, found.reason) == (Word.NOT_TESTED, "tests/a.py::test_c was not reported by pytest")


def test_the_root_is_the_nearest_folder_with_tests(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    assert root_of(tmp_path / "threat_models" / "x.yaml") == tmp_path
    (tmp_path / "tests" / "test_a.py").write_text("def test_b(): ...\n")
    assert missing(["tests/test_a.py::test_b"], tmp_path) is None
    assert "tests/test_a.py::test_c is not in" in str(missing(["tests/test_a.py::test_c"], tmp_path))
