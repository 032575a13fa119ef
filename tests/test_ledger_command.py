"""`securefl ledger show|verify|head` as a person or a program meets them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from securefl.cli import app
from securefl.privacy import Ledger, Release, SampledGaussian, epsilon

EVENT = SampledGaussian(2.0, 1.0, 1)
SOURCE = "5eed" * 16


def ledger(*words: object) -> Result:
    return CliRunner().invoke(app, ["ledger", *map(str, words)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The ledger of a folder that looks like a run's: three charges, one done."""
    path = tmp_path / "run" / "ledger.sqlite"
    path.parent.mkdir()
    with Ledger.open(path) as opened:
        for client, round in ((0, 1), (0, 2), (1, 1)):
            opened.intend(Release(SOURCE, "f00d", client, round, 0, EVENT))
        opened.mark_done("f00d", 0, 1, 0)
    return path


def head_of(path: Path) -> str:
    with Ledger.open(path, create=False) as opened:
        return opened.head()


def test_show_says_who_spent_what_at_which_delta(path: Path) -> None:
    found = json.loads(ledger("show", path, "--delta", "1e-6", "--json").stdout)
    assert (found["records"], found["private"], found["head"]) == (4, True, head_of(path))
    (row,) = found["spent"]
    assert (row["source"], row["run"], row["count"], row["clients"]) == (SOURCE, "f00d", 2, 2)
    assert row["event"] == {"noise_multiplier": 2.0, "sample_rate": 1.0, "steps": 1}
    assert row["epsilon"] == found["epsilon_by_source"][SOURCE] == epsilon(((EVENT, 2),), 1e-6)
    text = ledger("show", path).stdout
    for part in (SOURCE[:12], "f00d", "2 releases by the worst of 2", "at delta 1e-05", '"steps":1'):
        assert part in text


def test_the_folder_of_a_run_stands_for_its_own_ledger(path: Path) -> None:
    assert ledger("head", path.parent).stdout.strip() == head_of(path)


def test_reading_commands_leave_the_file_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    for command in ("show", "verify", "head"):
        assert ledger(command, path).exit_code == 0
    assert path.read_bytes() == before and [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_pinned_head_finds_out_an_older_copy_which_nothing_else_does(path: Path) -> None:
    pinned = json.loads(ledger("head", path, "--json").stdout)["head"]
    shutil.copy(path, path.with_suffix(".old"))
    with Ledger.open(path) as opened:
        opened.intend(Release(SOURCE, "f00d", 0, 3, 0, EVENT))
        newer = opened.head()
    for head in (pinned, newer, newer.upper()):
        assert json.loads(ledger("verify", path, "--head", head, "--json").stdout)["sound"]
    shutil.copy(path.with_suffix(".old"), path)
    alone = ledger("verify", path)
    assert (
        alone.exit_code == 0 and "against no pinned head: an older copy would look the same" in alone.stdout
    )
    result = ledger("verify", path, "--head", newer)
    assert result.exit_code == 2 and "older copy or another file" in result.stderr


def test_a_tail_that_was_cut_with_its_count_is_found_by_a_pinned_head_only(path: Path) -> None:
    pinned = head_of(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM records WHERE number > 2")
        (last,) = connection.execute("SELECT digest FROM records WHERE number = 2").fetchone()
        connection.execute("UPDATE meta SET value = ? WHERE name = 'head'", (last,))
        connection.execute("UPDATE meta SET value = '2' WHERE name = 'count'")
    assert ledger("verify", path).exit_code == 0
    assert ledger("verify", path, "--head", pinned).exit_code == 2


@pytest.mark.parametrize("command", ["show", "verify", "head"])
def test_a_missing_or_damaged_ledger_is_bad_input_and_nothing_is_made(command: str, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a ledger")
    for name, says in (("absent", "no ledger there"), ("notes", "not a database")):
        result = ledger(command, tmp_path / name, "--json")
        assert result.exit_code == 2 and result.stdout == ""
        told = json.loads(result.stderr)
        assert told["error"] == "LedgerUnusable" and says in told["message"]
    assert [one.name for one in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize("head", ["", "abc", "g" * 64, "0" * 63])
def test_a_head_that_is_none_is_refused_before_the_file_is_looked_at(head: str, tmp_path: Path) -> None:
    result = ledger("verify", tmp_path / "absent", "--head", head)
    assert result.exit_code == 2 and "--head: expected the 64 hex digits" in result.stderr


def test_a_ledger_of_test_runs_shows_no_epsilon(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path, private=False) as opened:
        opened.intend(Release(SOURCE, "f00d", 0, 1, 0, EVENT))
    found = json.loads(ledger("show", path, "--json").stdout)
    assert (found["private"], found["epsilon_by_source"], found["spent"][0]["epsilon"]) == (False, {}, None)
    text = ledger("show", path).stdout
    assert "NOT PRIVATE" in text and "no epsilon" in text


@pytest.mark.parametrize("command", ["show", "verify", "head"])
def test_every_ledger_command_explains_itself_and_its_exit_codes(command: str) -> None:
    result = ledger(command, "--help")
    assert result.exit_code == 0 and "--json" in result.stdout
    for part in ("0 done", "1 the run failed", "2 bad"):
        assert part in " ".join(result.stdout.split())
