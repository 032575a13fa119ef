"""A threat model that is tested in seconds, and findings made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from securefl.threats import Finding, Measured, ThreatModel, Verdict, Word, load
from securefl.threats.observation import Observation
from securefl.threats.verdict import judge

RUN = """
version: 1
name: tiny
seed: 3
data: {kind: digits, test_fraction: 0.5, partition: {kind: dirichlet, alpha: 0.5}}
clients: 6
model: {kind: linear}
training: {local_steps: 1, learning_rate: 0.5, sample_rate: 0.5, expected_batch: 60}
privacy: {unit: none}
secure_aggregation: {group_size: 3, threshold: 2, clip_norm: 1.0, bits: 16, epoch_rounds: 3}
robust: {rule: mean, max_malicious: 0}
server: {rounds: 1}
"""
MODEL: dict[str, object] = {
    "version": 1,
    "id": "listener",
    "adversary": {"role": "server", "behaviour": "curious", "colludes_with": "nobody"},
    "capabilities": {"sees": ["wire"], "queries": 1},
    "asset": "What a client has most of.",
    "system": {"config": "run.yaml"},
}
CLAIM: dict[str, object] = {
    "kind": "measured",
    "id": "labels",
    "sentence": "A server that listens learns no label.",
    "requires": ["masking"],
    "metric": "labels_named",
    "bound": 0.6,
    "confidence": 0.9,
    "attacks": [{"name": "label_from_message"}],
    "control": {"overrides": ["secure_aggregation.masking=false"], "bound": 0.4},
    "budget": {"seeds": 3, "fast_seeds": 2},
    "residual": ["It sees the sum of a group."],
    "out_of_scope": ["Side channels of machines."],
}
PROOF: dict[str, object] = {
    "kind": "proof",
    "id": "proven",
    "sentence": "Something that a test shows.",
    "tests": ["tests/test_x.py::test_it"],
    "residual": ["What it does not show."],
    "out_of_scope": ["Everything else there is."],
}
Write = Callable[..., Path]


@pytest.fixture
def model_file(tmp_path: Path) -> Write:
    """Writes listener.yaml with its run; arguments replace keys of the model, `claim` of its claim."""

    def write(claim: dict[str, object] | None = None, **changes: object) -> Path:
        (tmp_path / "run.yaml").write_text(RUN)
        claims = [CLAIM | (claim or {})]
        values = {**MODEL, "claims": claims, **changes}
        path = tmp_path / "threats" / "listener.yaml"
        path.parent.mkdir(exist_ok=True)
        (path.parent / "run.yaml").write_text(RUN)
        path.write_text(yaml.safe_dump(values))
        return path

    return write


@pytest.fixture
def model(model_file: Write) -> ThreatModel:
    return load(model_file())


def trials(attack: str, successes: Sequence[int], of: int = 20) -> list[Observation]:
    return [Observation(attack, seed, hit / of, hit, of) for seed, hit in enumerate(successes)]


@pytest.fixture
def findings(model_file: Write) -> list[Finding]:
    """One finding per verdict, with words in them that have to be escaped."""
    loaded = load(
        model_file(asset="Labels & <secrets>.", claims=[CLAIM, PROOF | {"sentence": "1 < 2, tested."}])
    )
    claim, proof = loaded.claims
    assert isinstance(claim, Measured)
    label = ("label_from_message",)
    held = judge(trials(label[0], [1, 0, 2]), trials(label[0], [19, 20, 18]), 0.6, 0.4, 0.9)
    lost = judge(trials(label[0], [18, 20, 19]), trials(label[0], [19, 20, 18]), 0.6, 0.4, 0.9)
    weak = judge(trials(label[0], [1, 0, 2]), trials(label[0], [1, 0, 2]), 0.6, 0.4, 0.9)
    return [
        *(Finding(loaded, claim, one, "tiny", 3, label) for one in (held, lost, weak)),
        Finding(loaded, proof, Verdict(Word.NOT_TESTED, "tests & co. are not here")),
    ]
