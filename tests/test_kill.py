"""Killed with SIGKILL at arbitrary moments and resumed, a run ends as an undisturbed one."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from securefl import config as configuration
from securefl import run as runs
from securefl import run_directory as folder
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.privacy.ledger import Ledger

Make = Callable[..., Config]
SEED = b"killed"

PLAY = """
import sys
from pathlib import Path
from securefl import config as configuration, run as runs, run_directory as folder
from securefl.crypto import SeededRandomness
import torch, opacus

out, source = Path(sys.argv[1]), SeededRandomness(b"killed")
print("ready", flush=True)
sys.stdin.readline()
if (out / folder.CONFIG).exists():
    runs.resume(out, randomness=source)
else:
    runs.run(configuration.load(sys.argv[2]), out, randomness=source)
"""


def play(out: Path, config: Path, seconds: float) -> bool:
    """Plays on and kills after `seconds`, start-up not counted; whether the run ended before that."""
    command = [sys.executable, "-c", PLAY, str(out), str(config)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == "ready\n"
    child.stdin.write("go\n")
    child.stdin.flush()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
    _, said = child.communicate(timeout=60)
    assert child.returncode in (0, -9), said
    return child.returncode == 0


def timeless(out: Path, name: str) -> list[dict[str, object]]:
    lines = folder.read_lines(out / name)
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def charges(out: Path) -> list[tuple[str, int, int, int]]:
    run_id = json.loads((out / folder.MANIFEST).read_text())["run_id"]
    with Ledger.open(out / folder.LEDGER, private=False, run=run_id, create=False) as ledger:
        ledger.verify()
        return [(one.kind, one.client, one.round, one.attempt) for one in ledger.records()]


def require_nothing_lost(out: Path) -> None:
    """What the records say was released is charged, once; no round stands twice."""
    recorded = folder.read_lines(out / folder.ROUNDS)
    slots = [(line["round"], line["attempt"]) for line in recorded]
    assert len(slots) == len(set(slots))
    if not recorded:
        return
    intents = [charge[1:] for charge in charges(out) if charge[0] == "intent"]
    assert len(intents) == len(set(intents))
    assert set(slots) <= {(round, attempt) for _, round, attempt in intents}


def require_that_kills_change_nothing(make: Make, tmp_path: Path, rounds: int, moments: list[float]) -> None:
    """Plays a run whole, and again killed at the given seconds after its start-up, as often as it lasts."""
    config = make(f"server.rounds={rounds}", "simulation.dropout=0.05")
    (tmp_path / "config.yaml").write_text(configuration.dump(config))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    runs.run(config, whole, randomness=SeededRandomness(SEED))
    kills = 0
    for seconds in moments:
        if play(killed, tmp_path / "config.yaml", seconds):
            break
        kills += 1
        if (killed / folder.MANIFEST).exists() and (killed / folder.LEDGER).exists():
            require_nothing_lost(killed)
    assert kills >= 1, "the first moment was meant to interrupt the run"
    while not play(killed, tmp_path / "config.yaml", 120.0):
        pass
    assert (killed / folder.MODEL).read_bytes() == (whole / folder.MODEL).read_bytes()
    assert sorted(charges(killed)) == sorted(charges(whole))
    for name in (folder.ROUNDS, folder.METRICS):
        assert timeless(killed, name) == timeless(whole, name)


def test_a_kill_at_an_arbitrary_moment_changes_neither_model_nor_charges_nor_records(
    small: Make, tmp_path: Path
) -> None:
    # Another moment every time; a failure shows it.
    require_that_kills_change_nothing(small, tmp_path, 4, [random.uniform(0.01, 0.5)])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(5))
def test_ten_kills_at_arbitrary_moments_change_neither_model_nor_charges_nor_records(
    small: Make, tmp_path: Path, seed: int
) -> None:
    draws = random.Random(seed)
    require_that_kills_change_nothing(small, tmp_path, 12, [draws.uniform(0.01, 1.5) for _ in range(10)])
