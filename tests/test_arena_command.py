"""`securefl arena` as a person or a program meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner, Result

from securefl.attacks.arena import standings
from securefl.cli import app
from securefl.cli.arena import markdown

Write = Callable[..., Path]
SMALL = {"seeds": [0], "attacks": [{"name": "pixel_backdoor"}]}


def securefl(*words: object) -> Result:
    return CliRunner().invoke(app, ["arena", *(str(word) for word in words)])


def test_it_prints_a_table_and_writes_table_pictures_and_results(arena_file: Write, tmp_path: Path) -> None:
    result = securefl(arena_file(**SMALL), "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "| accuracy | mean | median |" in result.stdout
    assert "95 % Student t" in result.stdout
    assert result.stderr == "", "no progress bar where there is no terminal"
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"results.json", "table.md", "accuracy-1.png", "arena.json", "cells"} <= written
    assert (tmp_path / "out" / "table.md").read_text() in result.stdout + "\n"


def test_as_json_it_prints_the_results_file_and_nothing_else(arena_file: Write, tmp_path: Path) -> None:
    result = securefl(arena_file(**SMALL), "--out", tmp_path / "out", "--json")
    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "results.json").read_text())


def test_bad_input_is_one_message_exit_code_2_and_no_folder(arena_file: Write, tmp_path: Path) -> None:
    result = securefl(arena_file(attacks=[{"name": "sing_flip"}]), "--out", tmp_path / "out", "--json")
    assert result.exit_code == 2
    error = json.loads(result.stderr)
    assert (error["error"], error["path"]) == ("ConfigError", "attacks.0")
    assert not (tmp_path / "out").exists()


def test_killed_by_a_signal_it_goes_on_where_it_was(arena_file: Write, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "securefl", "arena", str(arena_file()), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    cells = tmp_path / "out" / "cells"
    deadline = time.monotonic() + 100
    while not (cells.is_dir() and list(cells.glob("*.json"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path.name: path.read_bytes() for path in cells.glob("*.json")}
    assert kept
    result = securefl(arena_file(), "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert all((cells / name).read_bytes() == data for name, data in kept.items())
    assert len(list(cells.glob("*.json"))) == 12


def test_the_table_says_means_intervals_prices_and_how_far_an_aim_was_reached() -> None:
    place = {"heterogeneity": "iid", "attackers": 1, "defence": "mean"}
    results = [
        place
        | {
            "attack": attack,
            "seed": seed,
            "accuracy": accuracy,
            "aim": aim,
            "attackers": int(attack != "none"),
        }
        for attack, seed, accuracy, aim in (
            ("none", 0, 0.8, None),
            ("none", 1, 0.9, None),
            ("pixel_backdoor", 0, 0.7, 0.9),
            ("pixel_backdoor", 1, 0.7, 1.0),
        )
    ]
    text = markdown(standings(results))
    assert "### iid, 1 malicious clients" in text
    assert "| no attack | 0.850 +-0.635 |" in text
    assert "| price | 0.000 |" in text
    assert "| pixel_backdoor | 0.700 +-0.000 (aim 0.95) |" in text
    assert "| worst | pixel_backdoor |" in text
