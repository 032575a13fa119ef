"""How numbers, bounds and budgets of a finding are written, wherever they are shown."""

from __future__ import annotations

import math

from securefl.threats.campaign import Finding
from securefl.threats.model import Measured, Proof
from securefl.threats.statistic import Estimate
from securefl.threats.tables import METRICS
from securefl.threats.verdict import Word


def measured(one: Estimate | None) -> str:
    """The value and its two one-sided bounds.

    Example:
        >>> measured(Estimate(0.1, 0.05, 0.2, 40)), measured(None)
        ('0.100 [0.050, 0.200]', '-')
    """
    if one is None or math.isnan(one.value):
        return "-"
    if math.isinf(one.high):
        return f"{one.value:.3f} [?]"
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def bound(claim: Measured | Proof) -> str:
    """What is claimed of the metric."""
    return f"<= {claim.bound:g}" if isinstance(claim, Measured) else "tests"


def terms(finding: Finding) -> str:
    """What a verdict is relative to: attacks, budget, confidence."""
    claim = finding.claim
    if isinstance(claim, Proof):
        tried = finding.verdict.word is not Word.NOT_TESTED
        return f"by {len(claim.tests)} named tests" if tried else ""
    if not finding.seeds:
        return ""
    against = [one for one in finding.attacks if one not in finding.verdict.toothless]
    on = finding.verdict.defended
    samples = "" if on is None else f", {on.samples} samples"
    return (
        f"against {', '.join(against) or 'no attack that works'}; {finding.seeds} seeds{samples}; "
        f"confidence {claim.confidence:g}"
    )


def meaning(claim: Measured | Proof) -> str:
    """What the metric measures."""
    return METRICS[claim.metric] if isinstance(claim, Measured) else "named tests pass"
