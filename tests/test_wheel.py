"""What a user installs: the wheel alone, outside the repository, runs its own quickstart template."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_wheel_runs_its_quickstart_outside_the_repository(tmp_path: Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(pip, check=True, timeout=300)
    wheel = next(tmp_path.glob("securefl-*.whl"))
    site, home = tmp_path / "site", tmp_path / "home"
    zipfile.ZipFile(wheel).extractall(site)
    home.mkdir()

    def securefl(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "securefl", *words],
            cwd=home,
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    securefl("init", "quickstart")
    summary = json.loads(securefl("run", "quickstart.yaml", "--set", "server.rounds=5", "--json"))
    assert summary["rounds"] == 5
    assert (home / "runs/quickstart/report.html").stat().st_size > 10_000
