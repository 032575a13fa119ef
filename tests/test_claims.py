"""The repository's own threat models: the fast measured claims hold, every proof names tests that are there.

The tests that proofs name run in the suite by themselves; `securefl verify` runs them as well.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from securefl.threats import Proof, Settings, Word, load_all, verify
from securefl.threats.proof import missing
from securefl.threats.table import replaced

ROOT = Path(__file__).resolve().parents[1]
MODELS = load_all(ROOT / "threat_models")
ADVERSARIES = {
    "curious_server",
    "malicious_server",
    "colluding_clients",
    "poisoning_clients",
    "network_attacker",
    "faulty_clients",
    "model_reader",
}


def test_there_is_a_file_for_each_adversary() -> None:
    assert {model.id for model in MODELS} == ADVERSARIES


def test_fast_claims_hold() -> None:
    found = verify(MODELS, ROOT / "threat_models", Settings(fast=True, proofs=False), lambda *_: None)
    assert not [(one.name, one.verdict.word, one.verdict.reason) for one in found if one.failing]
    held = {one.model.id for one in found if one.verdict.word is Word.HOLDS}
    quick = ADVERSARIES - {"faulty_clients", "model_reader"}
    assert held == quick, "the measured claims of the others need more runs than --fast has"


def test_every_proof_names_tests_that_are_there() -> None:
    proofs = [claim for model in MODELS for claim in model.claims if isinstance(claim, Proof)]
    nodes = [node for claim in proofs for node in claim.tests]
    assert len(nodes) > 20
    assert missing(nodes, ROOT) is None


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_claims_hold_with_their_full_budgets() -> None:
    found = verify(MODELS, ROOT / "threat_models", Settings(workers=2), lambda *_: None)
    assert not [(one.name, one.verdict.reason) for one in found if one.verdict.word is not Word.HOLDS]


def test_the_table_in_the_security_document_is_the_one_of_the_files() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert replaced(text, MODELS) == text, "python -m securefl.threats.table SECURITY.md threat_models"
