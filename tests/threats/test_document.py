from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from securefl.errors import ConfigError
from securefl.threats import Measured, ThreatModel, load, load_all
from securefl.threats.document import target

Write = Callable[..., Path]


def test_a_file_becomes_a_model_with_an_absolute_config(model: ThreatModel, tmp_path: Path) -> None:
    assert model.system.config == str((tmp_path / "threats" / "run.yaml").resolve())
    assert [claim.id for claim in model.claims] == ["labels"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"adversry": {}}, "listener.yaml: adversry: expected a key .* did you mean 'adversary'"),
        ({"adversary": {"role": "sever", "behaviour": "curious", "colludes_with": "nobody"}},
         "did you mean 'server'"),
        ({"capabilities": {"sees": ["wires"]}}, "got 'wires'.* did you mean 'wire'"),
        ({"capabilities": {"knows": ["rules"]}}, "did you mean 'rule'"),
        ({"capabilities": {}}, r"claims.0.attacks: attack 'label_from_message' needs sees_wire"),
        ({"capabilities": {"sees": ["wire", "member_states"]}}, "capabilities.sees: expected somebody who"),
        ({"version": 2}, "version: expected 1"),
        ({"id": "other"}, "expected id 'listener' as the file is called"),
        ({"claims": []}, "claims: "),
        ({"asset": ""}, "asset: "),
    ],
)  # fmt: skip
def test_bad_models_are_refused_with_the_place_and_the_nearest_word(
    model_file: Write, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=f"(?s){says}"):
        load(model_file(**changes))


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ({"attacks": [{"name": "label_from_mesage"}]}, "did you mean 'label_from_message'"),
        ({"attacks": [{"name": "label_from_message", "strength": 2.0}]}, "expected no strength"),
        ({"attacks": [{"name": "label_from_message"} for _ in range(2)]}, "each attack once"),
        ({"metric": "labels_naned"}, "did you mean 'labels_named'"),
        ({"metric": "vectors_recovered"}, "'label_from_message', which is measured by 'labels_named'"),
        ({"requires": ["maskin"]}, "did you mean 'masking'"),
        ({"bound": 1.5}, "bound: expected a number of at most 1"),
        ({"confidence": 1.0}, "confidence: expected a number below 1"),
        ({"residual": []}, "residual"),
        ({"out_of_scope": []}, "out_of_scope"),
        ({"count": "declraed"}, "did you mean 'declared'"),
        ({"count": -1}, "expected a number of clients"),
        ({"control": {"overrides": [], "bound": 0.4}}, "switches the defence off"),
        ({"references": {"atlas": ["T0024"]}}, "references.atlas"),
        ({"references": {"nist": ["privacy compromis"]}}, "did you mean 'privacy compromise'"),
        ({"budget": {"seeds": 2, "fast_attacks": ["foe"]}}, "fast_attacks: got 'foe'"),
        ({"kind": "prof"}, "did you mean 'proof'"),
        ({"boud": 0.4}, "did you mean 'bound'"),
    ],
)
def test_bad_claims_are_refused(model_file: Write, claim: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){says}"):
        load(model_file(claim=claim))


def test_an_attack_over_the_whole_run_needs_more_than_one_round(model_file: Write) -> None:
    claim = {"metric": "accuracy_lost", "attacks": [{"name": "sign_flip"}]}
    able = {"may_send": ["altered_updates", "oversized_updates"]}
    load(model_file(claim=claim, capabilities=able))
    with pytest.raises(ConfigError, match="goes on over the whole run, and this adversary has 1 queries"):
        load(model_file(claim=claim, capabilities=able | {"queries": 1}))


@pytest.mark.parametrize(
    "node", ["tests/a.py::helper", "../x.py::test_a", "tests/a.py::test_a; rm", "test_a"]
)
def test_a_proof_names_tests_and_nothing_else(model_file: Write, node: str) -> None:
    proof = {"kind": "proof", "id": "x", "sentence": "It is so.", "tests": [node],
             "residual": ["Something is left."], "out_of_scope": ["Something is out."]}  # fmt: skip
    with pytest.raises(ConfigError, match="tests"):
        load(model_file(claims=[proof]))


@pytest.mark.parametrize("text", ["", "[1]", "!!python/object:os.system {}", "a: &x 1"])
def test_files_that_are_no_plain_mapping_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load(path)


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got none; the repository has some"):
        load_all(tmp_path)
    with pytest.raises(ConfigError, match="got none"):
        load_all(tmp_path / "missing.yaml")


def test_a_users_config_replaces_the_files_and_its_overrides_but_not_budget_and_control(
    model_file: Write, tmp_path: Path
) -> None:
    loaded = load(
        model_file(
            system={"config": "run.yaml", "overrides": ["clients=9"]},
            claim={"budget": {"seeds": 2, "overrides": ["server.rounds=1"], "fast_overrides": ["seed=5"]}},
        )
    )
    claim = loaded.claims[0]
    assert isinstance(claim, Measured)
    shipped, own = target(loaded, claim, None, False), target(loaded, claim, tmp_path / "own.yaml", True)
    assert "clients=9" in shipped.defended and "clients=9" not in own.defended
    assert own.config == str(tmp_path / "own.yaml")
    assert own.defended[:2] == ("server.rounds=1", "seed=5") and "seed=5" not in shipped.defended
    assert own.undefended == (*own.defended, "secure_aggregation.masking=false")
