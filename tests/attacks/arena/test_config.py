"""What an arena file may say, and how what it may not say is refused before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from securefl.attacks.arena import cells_of, check, load
from securefl.errors import ConfigError

Write = Callable[..., Path]
MEAN = {"name": "mean", "robust": {"rule": "mean", "max_malicious": 0}}


def test_the_shipped_arenas_are_valid_and_name_runs_that_users_run() -> None:
    configs = Path(__file__).resolve().parents[3] / "examples" / "configs"
    found = sorted(configs.glob("arena*.yaml"))
    assert len(found) >= 2
    for path in found:
        assert check(load(path))


def test_cells_are_the_product_of_the_axes_and_one_without_an_attack(arena_file: Write) -> None:
    cells = cells_of(load(arena_file(attackers=[1, 2])))
    # Per seed and defence: one without attackers (they would be honest), and two attacks by two numbers.
    assert len(cells) == 2 * 2 * (1 + 2 * 2)
    assert [cell.attackers for cell in cells if cell.attack is None] == [0] * 4
    absent = cells_of(load(arena_file(attackers=[1, 2], attackers_data="sample")))
    assert len(absent) == 2 * 2 * (2 + 2 * 2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"attacks": [{"name": "sing_flip"}]}, r"attacks.0: .*did you mean 'sign_flip'"),
        ({"attacks": [{"name": "mimic", "strength": 2.0}]}, "attacks.0: expected no strength for 'mimic'"),
        ({"attacks": [{"name": "foe", "strength": -1.0}]}, "attacks.0.strength: expected a number above 0"),
        ({"attacks": []}, "attacks: "),
        ({"attacks": [{"name": "foe"}, {"name": "foe"}]}, "attacks: .* once, got 'foe' twice"),
        ({"attacks": None}, "attacks: expected attacks, got nothing"),
        ({"attackers": [0]}, r"attackers.0: expected a number of at least 1, got 0"),
        ({"attackers": [6]}, "attackers: expected fewer attackers than the 6 clients, got 6"),
        ({"seeds": [1, 1]}, "seeds: expected each entry once"),
        ({"seeds": [True]}, "seeds.0: expected a whole number"),
        ({"sedes": [1]}, "sedes: expected a key that a config has, got 'sedes'.*did you mean 'seeds'"),
        ({"name": "../up"}, "name: expected at most 64 letters"),
        ({"config": "none.yaml"}, "no such file"),
        ({"heterogeneity": [{"kind": "dirichlet"}]}, r"data.partition.alpha: .*with dirichlet"),
        ({"heterogeneity": [{"kind": "iid", "alpha": 1.0}]}, r"data.partition.alpha: .*expected nothing"),
        ({"heterogeneity": [{"kind": "column"}]}, "heterogeneity.0.kind: expected iid or dir"),
        ({"defences": [{"name": "x", "robust": {"rule": "mode"}}]}, r"robust.rule: defence 'x'"),
        ({"defences": [MEAN, deepcopy(MEAN)]}, "defences: expected each entry once, got 'mean' twice"),
        ({"overrides": ["server.rounds=0"]}, "server.rounds: "),
        ({"overrides": ["engine={kind: processes}"]}, "engine.kind: expected engine in_process"),
        ({"overrides": ["simulation.dropout=0.1"]}, "simulation.dropout: expected all clients"),
        ({"overrides": ["participation={kind: sample, cohort: 3}"]}, "participation: expected all clients"),
        ({"attacks": [{"name": "inflated_counts"}]}, "attacks: expected server.weights.kind 'examples'"),
        (
            {"overrides": ["secure_aggregation.group_size=3", "secure_aggregation.threshold=2"],
             "attackers": [2], "defences": [MEAN]},
            "attackers: expected fewer attackers than the 2 groups for 'foe'",
        ),
        ({"adversary": ["alters_data"]}, r"attack 'foe' needs .*it has alters_data"),
        ({"adversary": ["flies"]}, "adversary.0: "),
        ({"worker_momentum": 1.0}, "worker_momentum: expected a number below 1"),
        ({"version": 2}, "version: expected 1"),
    ],
)  # fmt: skip
def test_bad_arenas_are_refused_with_path_expected_and_got(
    arena_file: Write, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=f"(?s){says}"):
        check(load(arena_file(**changes)))


def test_a_shared_ledger_is_refused_because_an_arena_can_be_replayed(
    arena_file: Write, tmp_path: Path
) -> None:
    private = "privacy={unit: example, epsilon: 8.0, delta: 1.0e-5, clip_norm: 1.0, ledger: l.sqlite}"
    with pytest.raises(ConfigError, match=r"privacy.ledger: expected no shared ledger"):
        check(load(arena_file(overrides=[private])))
    assert not (tmp_path / "l.sqlite").exists()


@pytest.mark.parametrize(
    "text", ["", "[1]", "a: &x 1", "!!python/object:os.system {}", "version: 1\nversion: 1"]
)
def test_files_that_are_no_plain_mapping_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "arena.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load(path)
