from __future__ import annotations

import json
from xml.etree import ElementTree

from securefl.threats import Finding, as_json, junit


def test_json_is_strict_and_has_every_claim_with_its_verdict(findings: list[Finding]) -> None:
    plain = json.loads(json.dumps(as_json(findings), allow_nan=False))
    assert [one["verdict"] for one in plain["claims"]] == ["HOLDS", "REFUTED", "INCONCLUSIVE", "NOT TESTED"]
    assert plain["passed"] is False
    held, lost = plain["claims"][:2]
    assert held["witness"] is None and lost["witness"]["attack"] == "label_from_message"
    assert held["attacks"]["label_from_message"]["defended"]["samples"] == 60
    assert as_json(findings[:1])["passed"] is True


def test_junit_counts_failures_errors_and_skips(findings: list[Finding]) -> None:
    suite = ElementTree.fromstring(junit(findings)).find("testsuite")  # noqa: S314 - written a line ago
    assert suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    cases = suite.findall("testcase")
    assert [[child.tag for child in case if child.tag != "system-out"] for case in cases] == [
        [],
        ["failure"],
        ["error"],
        ["skipped"],
    ]
    assert "tests & co." in str(cases[3].find("skipped").get("message"))  # type: ignore[union-attr]
