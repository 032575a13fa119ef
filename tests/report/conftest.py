"""A run directory as `securefl.run` writes it, made up: every test changes what it is about."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

CLIENTS, GROUPS, ROUNDS = 12, 3, 30
CARD = """# Guarantee

Epsilon is **8.00** at delta = `1e-5` per *example*.

| who | what |
|---|---|
| curious server | sums of 4 |

- not promised: <b>magic</b>
"""

Json = dict[str, object]
WriteRun = Callable[..., Path]


def group_line(group: int, dropped: set[int], status: str) -> Json:
    members = list(range(group * 4, group * 4 + 4))
    return {
        "group": group,
        "members": members,
        "survivors": [member for member in members if member not in dropped],
        "status": status,
        "failure": "2 of 4 members left, 3 are needed" if status == "aborted" else None,
    }


def round_line(number: int, *, abandoned: bool) -> Json:
    dropped = {(number * 5) % CLIENTS} if number % 2 else set()
    odd = {4: "aborted", 9: "excluded_norm", 17: "excluded_nonfinite"}.get(number, "summed")
    statuses = [odd if group == number % GROUPS else "summed" for group in range(GROUPS)]
    losses = {str(client): (1 + client / 20) * math.exp(-number / 12) for client in range(CLIENTS)}
    return {
        "round": number,
        "attempt": 0,
        "status": "abandoned" if abandoned else "done",
        "reason": "1 of 3 rows released, a trim of 1 needs 3" if abandoned else None,
        "groups": [group_line(group, dropped, statuses[group]) for group in range(GROUPS)],
        "dropped": sorted(dropped),
        "rows_used": 3 - (odd != "summed"),
        "update_norm": 0.3,
        "bytes_up": {str(client): 2_400 for client in range(CLIENTS)},
        "bytes_down": {str(client): 4_000 for client in range(CLIENTS)},
        "seconds": {"training": 0.11, "encoding": 0.004, "masking": 0.02, "unmasking": 0.012, "rule": 0.001},
        "simulation_only": {"client_loss": losses},
    }


def metric_line(number: int) -> Json:
    return {
        "round": number,
        "test_accuracy": 0.91 - 0.7 * math.exp(-number / 5) + 0.006 * math.sin(number * 2.3),
        "test_loss": 2.3 * math.exp(-number / 8),
        "epsilon": 8 * math.sqrt(number / ROUNDS),
        "bytes_up_per_client": 2_400 * number,
        "seconds": 0.15,
    }


def summary_of(rounds: int, abandoned: set[int]) -> Json:
    return {
        "name": "quickstart",
        "status": "done",
        "test_accuracy": metric_line(rounds)["test_accuracy"] if rounds else None,
        "test_loss": 0.3,
        "majority_accuracy": 0.103,
        "epsilon": 7.93 if rounds else None,
        "delta": 1e-5,
        "privacy_unit": "example",
        "privacy_statement": "epsilon = 3.1000 at delta = 1e-05 (unit: one <training> example)",
        "rounds": rounds,
        "rounds_done": rounds - len(abandoned),
        "rounds_abandoned": len(abandoned),
        "clients": CLIENTS,
        "groups": GROUPS,
        "dropped": rounds // 2,
        "bytes_up_per_client_per_round": 2_400.5,
        "seconds_total": 9.4,
        "seconds_by_phase": {
            "training": 3.3,
            "encoding": 0.12,
            "masking": 0.6,
            "unmasking": 0.36,
            "rule": 0.03,
            "evaluation": 0.4,
        },
        "private": True,
        "simulated": True,
    }


MANIFEST: Json = {
    "run_id": "0f3a",
    "private": True,
    "seed": 7,
    "started": "2026-01-01T00:00:00Z",
    "versions": {"securefl": "0.1.0", "python": "3.11.7"},
    "data": {
        "name": "digits",
        "train": 1437,
        "test": 360,
        "classes": 10,
        "description": "handwritten digits",
    },
    "host": {"cores": 2},
}


def write_lines(path: Path, lines: list[Json]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    def write(
        *,
        rounds: int = ROUNDS,
        abandoned: set[int] | None = None,
        summary: Mapping[str, object] | None = None,
        manifest: Mapping[str, object] | None = None,
        guarantee: str = CARD,
    ) -> Path:
        lost = abandoned if abandoned is not None else {9} & set(range(rounds + 1))
        numbers = range(1, rounds + 1)
        write_lines(tmp_path / "rounds.jsonl", [round_line(n, abandoned=n in lost) for n in numbers])
        write_lines(tmp_path / "metrics.jsonl", [metric_line(n) for n in numbers])
        whole = {**summary_of(rounds, lost), **(summary or {})}
        (tmp_path / "summary.json").write_text(json.dumps(whole), encoding="utf-8")
        (tmp_path / "manifest.json").write_text(
            json.dumps({**MANIFEST, **(manifest or {})}), encoding="utf-8"
        )
        (tmp_path / "guarantee.md").write_text(guarantee, encoding="utf-8")
        (tmp_path / "config.yaml").write_text("name: quickstart\nclients: 12\n", encoding="utf-8")
        return tmp_path

    return write
