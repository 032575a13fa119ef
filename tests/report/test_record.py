"""Reading a run directory: what is missing stays missing, what is damaged is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from securefl.errors import RunDirectoryError
from securefl.report import read

WriteRun = Callable[..., Path]


def test_a_finished_run_is_read_whole(write_run: WriteRun) -> None:
    run = read(write_run())
    assert (run.name, run.status, run.private, run.simulated) == ("quickstart", "done", True, True)
    assert (run.rounds_done, len(run.abandoned), run.rounds_planned) == (29, 1, 30)
    assert run.epsilon == 7.93
    assert run.rounds[3].groups[1].status == "aborted"


def test_an_unfinished_run_takes_its_numbers_from_the_last_round(write_run: WriteRun) -> None:
    out = write_run(rounds=4)
    (out / "summary.json").unlink()
    run = read(out)
    assert run.status == "unfinished"
    assert run.accuracy == run.metrics[-1].accuracy
    assert run.epsilon == run.metrics[-1].epsilon
    assert run.seconds_by_phase["training"] == pytest.approx(0.44)


def test_a_last_line_that_a_crash_cut_short_is_left_out(write_run: WriteRun) -> None:
    out = write_run(rounds=3)
    with (out / "rounds.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"round": 4, "status": "do')
    assert len(read(out).rounds) == 3


def test_a_damaged_line_is_named_with_its_number(write_run: WriteRun) -> None:
    out = write_run(rounds=1)
    with (out / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write("not json\n")
    with pytest.raises(RunDirectoryError, match=r"metrics\.jsonl line 2"):
        read(out)


def test_a_summary_that_is_no_object_is_refused(write_run: WriteRun) -> None:
    out = write_run(rounds=1)
    (out / "summary.json").write_text("[]", encoding="utf-8")
    with pytest.raises(RunDirectoryError, match="expected a JSON object, got list"):
        read(out)


def test_a_folder_without_a_manifest_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("manifest", "summary", "private"),
    [
        (True, True, True),
        (True, False, False),
        (False, True, False),
        (None, True, False),
        ("yes", True, False),
    ],
)
def test_a_run_is_private_only_if_nothing_says_otherwise(
    write_run: WriteRun, manifest: object, summary: bool, private: bool
) -> None:
    out = write_run(rounds=1, manifest={"private": manifest}, summary={"private": summary})
    assert read(out).private is private


@pytest.mark.parametrize("value", ["NaN", "Infinity", "true", '"8"', "1" + "0" * 400])
def test_a_number_that_is_not_a_finite_number_is_not_read_as_one(write_run: WriteRun, value: str) -> None:
    out = write_run(rounds=1)
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    text = json.dumps({**summary, "epsilon": "HERE"}).replace('"HERE"', value)
    (out / "summary.json").write_text(text, encoding="utf-8")
    assert read(out).epsilon is None
