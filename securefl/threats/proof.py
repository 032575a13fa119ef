"""Claims that tests show: runs the named tests with pytest and reads what became of each.

Rules kept here:
- All tests of a run of `verify` go into one pytest process, from the folder that holds `tests/`.
- A test that is not there, or was skipped, shows nothing: NOT TESTED, with the reason. An installed package
  brings no tests.
- Slow tests run when they are named; `verify` asks for them by node id.

What this file does NOT do: judge whether a test is a proof. Its docstring and its reviewers do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from xml.etree import ElementTree

from securefl.threats.verdict import Verdict, Word

Fate = Literal["passed", "failed", "skipped"]
Fates = Mapping[str, Fate]
"""Node id without parameters -> what became of it; the worst over its parameters."""

_ORDER: tuple[Fate, ...] = ("passed", "skipped", "failed")
_PLAIN = ("-q", "-m", "", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib")
PASSED, SOME_FAILED = 0, 1


def root_of(place: Path) -> Path | None:
    """The nearest folder above a threat model with a `tests` folder in it; None if there is none."""
    return next((one for one in place.resolve().parents if (one / "tests").is_dir()), None)


def missing(nodes: Iterable[str], root: Path | None) -> str | None:
    """Why these tests cannot be run, or None if they can."""
    if root is None:
        return "the tests are not here: an installed package brings none, a checkout of the repository does"
    if find_spec("pytest") is None:
        return "pytest is not installed here"
    for node in nodes:
        file, _, name = node.partition("::")
        path = root / file
        if not path.is_file() or f"def {name}(" not in path.read_text(encoding="utf-8"):
            return f"{node} is not in {root}"
    return None


def run(nodes: Sequence[str], root: Path) -> Fates:
    """Runs the tests and says what became of each. A test that pytest does not report has no entry."""
    with TemporaryDirectory(prefix="securefl-verify-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", *_PLAIN, f"--junitxml={report}", *sorted(set(nodes))]
        # Not a shell, and every node id matches the pattern of `model.Proof`.
        subprocess.run(command, cwd=root, capture_output=True, check=False)  # noqa: S603
        return read(report.read_text(encoding="utf-8")) if report.exists() else {}


def read(report: str) -> dict[str, Fate]:
    """The fates in a JUnit report of pytest.

    Example:
        >>> read('<testsuite><testcase classname="tests.a" name="test_b[1]"/></testsuite>')
        {'tests/a.py::test_b': 'passed'}
    """
    fates: dict[str, Fate] = {}
    # The report is our own pytest's, written a moment ago into a folder of our own.
    for case in ElementTree.fromstring(report).iter("testcase"):  # noqa: S314
        name = case.get("name", "").partition("[")[0]
        node = f"{case.get('classname', '').replace('.', '/')}.py::{name}"
        fate: Fate = "passed"
        if case.find("failure") is not None or case.find("error") is not None:
            fate = "failed"
        elif case.find("skipped") is not None:
            fate = "skipped"
        fates[node] = max(fates.get(node, "passed"), fate, key=_ORDER.index)
    return fates


def verdict(nodes: Sequence[str], fates: Fates) -> Verdict:
    """What the fates of its tests say about a claim."""
    failed = [node for node in nodes if fates.get(node) == "failed"]
    if failed:
        return Verdict(Word.REFUTED, f"{failed[0]} fails")
    silent = [node for node in nodes if fates.get(node) != "passed"]
    if silent:
        what = "was skipped" if silent[0] in fates else "was not reported by pytest"
        return Verdict(Word.NOT_TESTED, f"{silent[0]} {what}")
    return Verdict(Word.HOLDS, f"{len(nodes)} named test{'s' if len(nodes) > 1 else ''} passed")
