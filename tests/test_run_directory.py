"""The run folder: never over another run, never half a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from securefl import run_directory as folder
from securefl.errors import RunDirectoryError


def test_a_new_or_empty_folder_is_free(tmp_path: Path) -> None:
    folder.refuse_occupied(tmp_path)
    folder.refuse_occupied(tmp_path / "new")


@pytest.mark.parametrize(("name", "said"), [("manifest.json", "another run"), ("notes.txt", "not a run")])
def test_a_folder_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(RunDirectoryError, match=said):
        folder.refuse_occupied(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(RunDirectoryError, match="got a file"):
        folder.refuse_occupied(tmp_path / "out")


@pytest.mark.parametrize("out", ["file/run", "file"])
def test_a_folder_that_cannot_be_made_is_a_typed_error(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match="name another folder or fix access"):
        folder.create(tmp_path / out)


def test_a_folder_that_is_gone_cannot_be_held(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="No such file"), folder.held(tmp_path / "gone"):
        pass


def test_what_a_run_leaves_that_was_killed_at_once_does_not_occupy_a_folder(tmp_path: Path) -> None:
    for name in (".lock", "config.yaml.part"):
        (tmp_path / name).touch()
    folder.refuse_occupied(tmp_path)
    assert not folder.only_begun(tmp_path)
    (tmp_path / "config.yaml").touch()
    assert folder.only_begun(tmp_path)
    for name in ("ledger.sqlite", ".ledger.sqlite.17.c0ffee"):
        (tmp_path / name).touch()
    assert folder.only_begun(tmp_path), "an empty ledger comes before the manifest"
    (tmp_path / "metrics.jsonl").touch()
    assert not folder.only_begun(tmp_path), "something may have left a client"


def test_one_process_at_a_time_holds_a_run(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from securefl import run_directory as folder\n"
        "with folder.held(Path(sys.argv[1])): pass"
    )
    with folder.held(tmp_path):
        second = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert "another process is working on this run" in second.stderr
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == 0


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.json"
    folder.write_json(path, {"round": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunDirectoryError, match="No space left"):
        folder.write_json(path, {"round": 2})
    assert folder.read_json(path) == {"round": 1}


def test_infinities_never_reach_a_json_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write_json(tmp_path / "x.json", {"epsilon": float("inf")})
    assert not (tmp_path / "x.json").exists()


def test_a_torn_last_line_is_left_out_and_lines_beyond_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "rounds.jsonl"
    for number in range(3):
        folder.append_line(path, {"round": number})
    with path.open("a") as file:
        file.write('{"round": 3, "torn')
    assert [line["round"] for line in folder.read_lines(path)] == [0, 1, 2]
    folder.truncate_lines(path, 2)
    assert [line["round"] for line in folder.read_lines(path)] == [0, 1]
    with pytest.raises(RunDirectoryError, match=r"expected the 3 lines .* got 2"):
        folder.truncate_lines(path, 3)


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_a_damaged_file_is_a_typed_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunDirectoryError):
        folder.read_json(tmp_path / "manifest.json")
