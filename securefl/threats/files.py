"""Findings for machines: JSON for programs, JUnit XML for continuous integration.

Rules kept here: JSON is strict (no NaN, no infinity: null stands for a bound that does not exist). In JUnit
a refuted claim is a failure, an inconclusive one an error, one that was not tested is skipped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from xml.etree import ElementTree

from securefl.threats import words
from securefl.threats.campaign import Finding
from securefl.threats.model import Measured
from securefl.threats.statistic import Estimate
from securefl.threats.verdict import Word

FORMAT = 1
_ELEMENT = {Word.REFUTED: "failure", Word.INCONCLUSIVE: "error", Word.NOT_TESTED: "skipped"}


def as_json(findings: Sequence[Finding]) -> dict[str, object]:
    """All findings as plain values."""
    return {
        "version": FORMAT,
        "passed": not any(one.failing for one in findings),
        "claims": [_plain(one) for one in findings],
    }


def junit(findings: Sequence[Finding]) -> str:
    """All findings as JUnit XML: a suite per threat model, a case per claim."""
    root = ElementTree.Element("testsuites", name="securefl verify")
    for model in dict.fromkeys(one.model.id for one in findings):
        here = [one for one in findings if one.model.id == model]
        suite = ElementTree.SubElement(root, "testsuite", {"name": model, **_counts(here)})
        for one in here:
            _case(suite, one)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _counts(findings: Sequence[Finding]) -> dict[str, str]:
    found = [_ELEMENT.get(one.verdict.word) for one in findings]
    return {
        "tests": str(len(found)),
        "failures": str(found.count("failure")),
        "errors": str(found.count("error")),
        "skipped": str(found.count("skipped")),
    }


def _case(suite: ElementTree.Element, finding: Finding) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"threat_models.{finding.model.id}", name=finding.claim.id
    )
    element = _ELEMENT.get(finding.verdict.word)
    if element is not None:
        ElementTree.SubElement(case, element, message=f"{finding.verdict.word}: {finding.verdict.reason}")
    text = ElementTree.SubElement(case, "system-out")
    text.text = "\n".join(
        (
            finding.claim.sentence,
            f"undefended {words.measured(finding.verdict.undefended)}",
            f"defended {words.measured(finding.verdict.defended)}",
            f"bound {words.bound(finding.claim)}",
            words.terms(finding),
        )
    )


def _plain(finding: Finding) -> dict[str, object]:
    claim, verdict = finding.claim, finding.verdict
    witness = None if verdict.witness is None else asdict(verdict.witness)
    common: dict[str, object] = {
        "threat_model": finding.model.id,
        "claim": claim.id,
        "kind": claim.kind,
        "sentence": claim.sentence,
        "verdict": str(verdict.word),
        "reason": verdict.reason,
        "witness": witness,
        "residual": list(claim.residual),
        "out_of_scope": list(claim.out_of_scope),
        "atlas": list(claim.references.atlas),
        "nist": list(claim.references.nist),
    }
    if not isinstance(claim, Measured):
        return common | {"tests": list(claim.tests)}
    return common | {
        "metric": claim.metric,
        "bound": claim.bound,
        "control_bound": claim.control.bound,
        "confidence": claim.confidence,
        "config": finding.config,
        "seeds": finding.seeds,
        "defended": _estimate(verdict.defended),
        "undefended": _estimate(verdict.undefended),
        "attacks": {
            name: {"defended": _estimate(on), "undefended": _estimate(off)}
            for name, (on, off) in verdict.by_attack.items()
        },
        "control_failed": list(verdict.toothless),
    }


def _estimate(one: Estimate | None) -> dict[str, object] | None:
    if one is None:
        return None
    return {key: value if math.isfinite(value) else None for key, value in asdict(one).items()}
