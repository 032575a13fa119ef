"""Threat models that run: who attacks, what is claimed against it, and what may be said after trying.

    from securefl.threats import Settings, load_all, verify
    findings = verify(load_all(Path("threat_models")), Path("threat_models"), Settings(fast=True))

Nothing honest imports this package; it stands above attacks and below the command line.
"""

from securefl.threats.campaign import Finding, Progress, Settings, verify
from securefl.threats.document import load, load_all
from securefl.threats.files import as_json, junit
from securefl.threats.model import Measured, Proof, ThreatModel
from securefl.threats.observation import Observation
from securefl.threats.page import render as page
from securefl.threats.statistic import Estimate
from securefl.threats.verdict import FAILING, Verdict, Word, judge

__all__ = [
    "FAILING",
    "Estimate",
    "Finding",
    "Measured",
    "Observation",
    "Progress",
    "Proof",
    "Settings",
    "ThreatModel",
    "Verdict",
    "Word",
    "as_json",
    "judge",
    "junit",
    "load",
    "load_all",
    "page",
    "verify",
]
