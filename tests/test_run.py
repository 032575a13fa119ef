"""A run in a folder: complete, never over another, and the same after being killed anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

import securefl
from securefl import config as configuration
from securefl import run as runs
from securefl import run_directory as folder
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.data import load as load_data
from securefl.errors import BudgetExceeded, ConfigError, DataError, LedgerUnusable, RunDirectoryError
from securefl.guarantee import Terms
from securefl.privacy.ledger import Ledger, Release

Make = Callable[..., Config]
SEED = b"resume"

PLAY = """
import os, signal, sys
from pathlib import Path
from securefl import config as configuration, run as runs, run_directory as folder
from securefl.crypto import SeededRandomness
from securefl.federation import client

out, kill_at = Path(sys.argv[1]), int(sys.argv[2])
commits = 0
before = client._committed

def counted(prepared):
    global commits
    refusals = before(prepared)
    commits += 1
    if commits == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return refusals

client._committed = counted
source = SeededRandomness(b"resume")
if (out / folder.MANIFEST).exists():
    runs.resume(out, randomness=source)
else:
    runs.run(configuration.load(sys.argv[3]), out, randomness=source)
"""


def play(out: Path, kill_at: int, config: Path) -> int:
    command = [sys.executable, "-c", PLAY, str(out), str(kill_at), str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def test_a_finished_run_has_every_file_and_a_summary_that_adds_up(small: Make, tmp_path: Path) -> None:
    events: list[Mapping[str, object]] = []
    out = tmp_path / "run"
    summary = runs.run(small("simulation={dropout: 0.1, client_curves: true}"), out, progress=events.append)
    assert {path.name for path in out.iterdir()} >= {
        "config.yaml", "manifest.json", "metrics.jsonl", "ledger.sqlite", "rounds.jsonl", "checkpoint",
        "model.safetensors", "guarantee.md", "guarantee.json", "summary.json",
    }  # fmt: skip
    assert summary == json.loads((out / "summary.json").read_text())
    assert {key: type(summary[key]) for key in ("groups", "rounds", "dropped", "clients")} == dict.fromkeys(
        ("groups", "rounds", "dropped", "clients"), int
    )
    rounds = folder.read_lines(out / folder.ROUNDS)
    assert summary["dropped"] == sum(len(record["dropped"]) for record in rounds)  # type: ignore[arg-type]
    assert len(events) == len(rounds) == summary["rounds"] + summary["spare_releases_used"]  # type: ignore[operator]
    assert summary["seconds_total"] == pytest.approx(sum(summary["seconds_by_phase"].values()))  # type: ignore[attr-defined]
    assert 0 < summary["epsilon"] <= 8.0  # type: ignore[operator]
    assert "simulation_only" in rounds[-1]
    assert not (out / folder.IDENTITIES).exists(), "identity keys are erased when the run ends"


def test_a_finished_run_keeps_no_protocol_secret_in_its_ledger(small: Make, tmp_path: Path) -> None:
    runs.run(small("server.rounds=1"), tmp_path / "run")
    run_id = json.loads((tmp_path / "run/manifest.json").read_text())["run_id"]
    with Ledger.open(tmp_path / "run/ledger.sqlite", run=run_id, create=False) as ledger:
        assert len(ledger.records()) >= 9
        rows = ledger._database.rows("SELECT COUNT(*) FROM answers")
    assert rows == [(0,)]


def test_the_saved_model_is_the_trained_one_and_scores_the_same(small: Make, tmp_path: Path) -> None:
    summary = runs.run(small("server.rounds=2"), tmp_path / "run")
    module = securefl.load(tmp_path / "run")
    assert sum(parameter.numel() for parameter in module.parameters()) == 650
    test = load_data("digits", test_fraction=0.5, seed=3).test
    scores = runs.evaluate(tmp_path / "run", test)
    assert scores["test_accuracy"] == pytest.approx(summary["test_accuracy"])
    other = load_data("digits", seed=3).test
    narrow = type(other)(other.features.reshape(len(other), 1, 4, 16), other.labels)
    with pytest.raises(DataError, match="expected examples of shape"):
        runs.evaluate(tmp_path / "run", narrow)


def test_nothing_is_written_when_the_run_cannot_start(small: Make, tmp_path: Path) -> None:
    with pytest.raises(securefl.SecureFLError):
        runs.run(small("privacy.delta=0.01"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_test_source_with_a_real_ledger_is_refused_before_anything_is_written(
    small: Make, tmp_path: Path
) -> None:
    config = small(f"privacy.ledger={tmp_path / 'shared.sqlite'}")
    with pytest.raises(ConfigError, match="replayable test source"):
        runs.run(config, tmp_path / "run", randomness=SeededRandomness(SEED))
    assert list(tmp_path.iterdir()) == []


def test_own_clients_are_refused_for_worker_processes_before_anything_is_written(
    small: Make, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="in_process"):
        runs.run(small("engine.kind=processes"), tmp_path / "run", clients=lambda honest: honest)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("made", [False, True])
def test_a_run_whose_budget_another_run_spends_while_it_is_settled_leaves_nothing_behind(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    shared = tmp_path / "shared.sqlite"
    config = small(f"privacy.ledger={shared}", "server.rounds=1")
    if made:
        (tmp_path / "run").mkdir()

    def spent_meanwhile(terms: Terms) -> None:
        assert terms.budget is not None
        with Ledger.open(shared) as ledger:
            for round in range(terms.budget.releases):
                ledger.intend(Release(terms.dataset.source_hash, "faster", 0, round, 0, terms.budget.event))

    monkeypatch.setattr(runs, "build_learner", spent_meanwhile)
    with pytest.raises(BudgetExceeded, match="above the cap of 8"):
        runs.run(config, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["shared.sqlite"]


def test_an_occupied_folder_is_refused(small: Make, tmp_path: Path) -> None:
    runs.run(small("server.rounds=1"), tmp_path / "run")
    before = (tmp_path / "run/summary.json").read_bytes()
    with pytest.raises(RunDirectoryError, match="another run"):
        runs.run(small("server.rounds=1"), tmp_path / "run")
    assert (tmp_path / "run/summary.json").read_bytes() == before


def test_resuming_a_finished_run_gives_its_summary_again(small: Make, tmp_path: Path) -> None:
    summary = runs.run(small("server.rounds=1"), tmp_path / "run")
    assert runs.resume(tmp_path / "run") == summary


def test_a_finished_run_is_summed_up_again_whatever_became_of_its_data_and_its_budget(
    small: Make, tmp_path: Path
) -> None:
    shared = f"privacy.ledger={tmp_path / 'shared.sqlite'}"
    summary = runs.run(small("server.rounds=1", shared), tmp_path / "run")
    runs.run(small("server.rounds=1", shared, "privacy.budget=20.0"), tmp_path / "other")
    (tmp_path / "run/config.yaml").write_text("data: gone")
    assert runs.resume(tmp_path / "run") == summary


@pytest.mark.parametrize(
    "damage", ["", "{", "{}", "[]", '{"status": "finished"}', '{"rounds": true, "epsilon": "8"}', "\0"]
)
def test_a_finished_run_whose_summary_is_damaged_gets_it_made_again(
    done: Path, tmp_path: Path, damage: str
) -> None:
    shutil.copytree(done, tmp_path / "run")
    before = folder.read_json(done / folder.SUMMARY)
    (tmp_path / "run/summary.json").write_text(damage)
    assert runs.resume(tmp_path / "run") == before
    assert folder.read_json(tmp_path / "run/summary.json") == before
    assert not (tmp_path / "run" / folder.IDENTITIES).exists()


def test_a_run_in_flight_does_not_go_on_under_other_identities_because_a_summary_lies_there(
    stopped: Path,
) -> None:
    (stopped / folder.IDENTITIES).unlink()
    (stopped / folder.SUMMARY).touch()
    with pytest.raises(RunDirectoryError, match="expected the clients' keys"):
        runs.resume(stopped)
    assert len(folder.read_lines(stopped / folder.ROUNDS)) == 1


@pytest.fixture(scope="module")
def done(small: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests damage copies of it."""
    out = tmp_path_factory.mktemp("done") / "run"
    runs.run(small("server.rounds=1"), out)
    return out


@pytest.fixture
def stopped(small: Make, tmp_path: Path) -> Path:
    """A run that was stopped after its first of three rounds."""

    def stop(_: Mapping[str, object]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.run(small(), tmp_path / "stopped", progress=stop)
    return tmp_path / "stopped"


def spoil(name: str, old: str, new: str) -> Callable[[Path], object]:
    def spoiled(out: Path) -> None:
        text = (out / name).read_text()
        assert old in text
        (out / name).write_text(text.replace(old, new, 1))

    return spoiled


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (spoil("config.yaml", "rounds: 3", "rounds: 9"), "config.yaml: expected the config that the run"),
        (spoil("config.yaml", "epsilon: 8.0", "epsilon: 80.0"), "noise and its guarantee card are settled"),
        (
            spoil("config.yaml", "unit: example", "unit: example\n  ledger: /x"),
            "privacy.ledger: expected none",
        ),
        (
            spoil("manifest.json", '"source_hash": "', '"source_hash": "0'),
            "the run began on data with hash 0",
        ),
        (spoil("manifest.json", '"randomness"', '"random"'), "got randomness missing"),
        (lambda out: (out / "identities.json").unlink(), "identities.json: expected the clients' keys"),
        (lambda out: (out / "rounds.jsonl").unlink(), "rounds.jsonl: expected the 1 lines"),
        (lambda out: (out / "metrics.jsonl").write_text("{"), "metrics.jsonl: expected the 1 lines"),
    ],
)
def test_a_run_is_not_resumed_as_another_one(
    stopped: Path, damage: Callable[[Path], object], says: str
) -> None:
    damage(stopped)
    with pytest.raises(RunDirectoryError, match=says):
        runs.resume(stopped)
    assert not (stopped / "summary.json").exists()


@pytest.mark.parametrize("left", [1, 2, 3, 4])
def test_a_run_that_was_killed_before_its_manifest_begins_again(
    small: Make, tmp_path: Path, left: int
) -> None:
    runs.run(small("server.rounds=1"), tmp_path / "whole")
    out = tmp_path / "begun"
    out.mkdir()
    (out / ".lock").touch()
    (out / "manifest.json.part").touch()
    (out / ".ledger.sqlite.17.c0ffee").touch()
    for name in (folder.CONFIG, folder.CARD, folder.CARD_JSON, folder.IDENTITIES)[:left]:
        whole = tmp_path / "whole" / name
        (out / name).write_bytes(whole.read_bytes() if whole.exists() else b"")
    if left == 4:  # the ledger is made last
        Ledger.open(out / folder.LEDGER).close()
    assert runs.resume(out)["rounds_done"] == 1
    assert not list(out.glob(".ledger*"))


def test_a_device_that_the_machine_lacks_is_refused_before_anything_is_written(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"device: expected a GPU .* got 'cuda' .* use cpu"):
        runs.run(small("device=cuda"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_comes_second_while_it_was_settled_leaves_the_first_alone(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_is_faster(_: object) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run/manifest.json").write_text("{}")

    monkeypatch.setattr(runs, "build_learner", first_is_faster)
    with pytest.raises(RunDirectoryError, match="another run"):
        runs.run(small(), tmp_path / "run")
    assert (tmp_path / "run/manifest.json").read_text() == "{}"


def test_a_folder_that_is_no_run_cannot_be_resumed_or_loaded(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is this the folder of a run"):
        runs.resume(tmp_path)
    with pytest.raises(RunDirectoryError, match="is this the folder of a run"):
        securefl.load(tmp_path)


def test_a_private_run_is_not_resumed_with_the_test_source(small: Make, tmp_path: Path) -> None:
    runs.run(small("server.rounds=1"), tmp_path / "run")
    with pytest.raises(RunDirectoryError, match="expected the system randomness"):
        runs.resume(tmp_path / "run", randomness=SeededRandomness(SEED))


def test_rounds_a_kill_and_a_resume_give_the_bytes_of_an_undisturbed_run(small: Make, tmp_path: Path) -> None:
    config = small("server.rounds=10", "simulation.dropout=0.05")
    (tmp_path / "config.yaml").write_text(configuration.dump(config))
    runs.run(config, tmp_path / "whole", randomness=SeededRandomness(SEED))
    # Right after the masked vectors of the sixth round, then between keys and shares of a later one.
    assert play(tmp_path / "killed", 2 * 2 + 5 * 5 + 3, tmp_path / "config.yaml") == -9
    assert play(tmp_path / "killed", 2 + 5 + 2, tmp_path / "config.yaml") == -9
    assert 0 < len(folder.read_lines(tmp_path / "killed" / folder.ROUNDS)) < 10
    runs.resume(tmp_path / "killed", randomness=SeededRandomness(SEED))
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (
        tmp_path / "killed/model.safetensors"
    ).read_bytes()
    assert charges(tmp_path / "killed") == charges(tmp_path / "whole"), "a re-sent answer costs nothing"
    for name in (folder.ROUNDS, folder.METRICS):
        whole, killed = (
            folder.read_lines(tmp_path / "whole" / name),
            folder.read_lines(tmp_path / "killed" / name),
        )
        assert [timeless(line) for line in whole] == [timeless(line) for line in killed]


def timeless(line: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in line.items() if key != "seconds"}


def charges(out: Path) -> set[tuple[str, int, int, int]]:
    run_id = json.loads((out / "manifest.json").read_text())["run_id"]
    with Ledger.open(out / "ledger.sqlite", private=False, run=run_id, create=False) as ledger:
        records = ledger.records()
    return {(record.kind, record.client, record.round, record.attempt) for record in records}


@pytest.fixture
def killed(small: Make, tmp_path: Path) -> Path:
    """A run of two rounds, killed as soon as all clients have answered the mask step of the first."""
    config, out = tmp_path / "config.yaml", tmp_path / "run"
    config.write_text(configuration.dump(small("server.rounds=2")))
    # Commits of round 1: commit, reveal, advertise, share, mask. Killed right after the fifth.
    assert play(out, 5, config) == -9
    return out


def test_what_a_killed_run_released_is_charged_when_it_resumes(killed: Path) -> None:
    assert {(kind, round) for kind, _, round, _ in charges(killed)} == {("intent", 1)}
    assert len(charges(killed)) == 9


def test_a_run_whose_ledger_is_gone_before_its_first_checkpoint_is_not_resumed_with_an_empty_one(
    killed: Path,
) -> None:
    assert not (killed / folder.CHECKPOINT).exists() and len(charges(killed)) == 9
    (killed / folder.LEDGER).unlink()
    with pytest.raises(LedgerUnusable, match="forget the spent budget"):
        runs.resume(killed, randomness=SeededRandomness(SEED))
    assert not (killed / folder.LEDGER).exists()


@pytest.mark.parametrize("shared", [False, True])
def test_a_ledger_in_place_of_the_one_that_a_run_began_with_is_refused_before_its_first_checkpoint(
    small: Make, tmp_path: Path, shared: bool
) -> None:
    def stop(_: object) -> NoReturn:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    ledger = tmp_path / "shared.sqlite" if shared else out / folder.LEDGER
    with pytest.raises(KeyboardInterrupt):
        runs.run(small(*([f"privacy.ledger={ledger}"] if shared else [])), out, clients=stop)
    assert (out / folder.MANIFEST).exists()
    ledger.unlink()
    with pytest.raises(LedgerUnusable, match="forget the spent budget"):
        runs.resume(out)
    Ledger.open(ledger).close()
    with pytest.raises(LedgerUnusable, match="expected a ledger that continues"):
        runs.resume(out)
    assert folder.read_lines(out / folder.ROUNDS) == []


def test_a_finished_run_without_its_ledger_is_not_summed_up_anew_as_if_it_had_cost_nothing(
    done: Path, tmp_path: Path
) -> None:
    shutil.copytree(done, tmp_path / "run")
    (tmp_path / "run" / folder.SUMMARY).write_text("{")
    (tmp_path / "run" / folder.LEDGER).unlink()
    with pytest.raises(LedgerUnusable, match="restore the file"):
        runs.resume(tmp_path / "run")
    assert (tmp_path / "run" / folder.SUMMARY).read_text() == "{"


def test_a_folder_whose_ledger_has_charges_and_whose_manifest_is_gone_does_not_begin_again(
    killed: Path,
) -> None:
    for name in (folder.MANIFEST, folder.METRICS, folder.ROUNDS):
        (killed / name).unlink()
    with pytest.raises(RunDirectoryError, match=r"ledger with charges and no manifest\.json"):
        runs.resume(killed, randomness=SeededRandomness(SEED))


def test_the_identities_of_a_run_in_flight_are_for_its_owner_only(small: Make, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(configuration.dump(small()))
    play(tmp_path / "run", 3, config)
    assert os.stat(tmp_path / "run" / folder.IDENTITIES).st_mode & 0o077 == 0
    assert os.stat(tmp_path / "run" / folder.LEDGER).st_mode & 0o077 == 0


def test_two_runs_of_one_seed_share_the_initial_model_and_nothing_secret(small: Make, tmp_path: Path) -> None:
    models = []
    for name in ("a", "b"):
        runs.run(small("server.rounds=1"), tmp_path / name)
        models.append(securefl.load(tmp_path / name))
    first, second = (np.concatenate([p.detach().numpy().ravel() for p in m.parameters()]) for m in models)
    assert not np.array_equal(first, second)
