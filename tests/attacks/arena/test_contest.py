"""An arena in its folder: killed anywhere it goes on, and gives what it would have given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from securefl.attacks.arena import hold, load
from securefl.errors import RunDirectoryError

Write = Callable[..., Path]


class Killed(BaseException):
    """Stands for a signal."""


def without_time(results: object) -> list[dict[str, object]]:
    return [{key: value for key, value in one.items() if key != "cpu_seconds"} for one in results]


def test_killed_before_any_cell_it_goes_on_and_plays_no_cell_twice(arena_file: Write, tmp_path: Path) -> None:
    arena = load(arena_file())
    whole = hold(arena, tmp_path / "whole")
    for at in range(0, len(whole), 4):

        def killing(done: int, cells: int, words: str, at: int = at) -> None:
            if done == at:
                raise Killed

        out = tmp_path / f"killed-{at}"
        with pytest.raises(Killed):
            hold(arena, out, killing)
        kept = {path.name: path.read_bytes() for path in out.glob("cells/*.json")}
        assert len(kept) == at
        resumed = hold(arena, out)
        assert without_time(resumed) == without_time(whole), "a cell is a function of its place on the axes"
        assert all((out / "cells" / name).read_bytes() == data for name, data in kept.items())


def test_a_half_written_cell_is_played_again(arena_file: Write, tmp_path: Path) -> None:
    arena = load(arena_file(seeds=[0], attacks=[{"name": "foe"}]))
    whole = hold(arena, tmp_path / "out")
    victim = next((tmp_path / "out" / "cells").glob("*.json"))
    victim.rename(victim.with_name(victim.name + ".part"))
    assert without_time(hold(arena, tmp_path / "out")) == without_time(whole)


def test_a_folder_of_another_arena_or_of_something_else_is_refused(arena_file: Write, tmp_path: Path) -> None:
    small = {"seeds": [0], "attacks": [{"name": "label_flip"}]}
    hold(load(arena_file(**small)), tmp_path / "out")
    with pytest.raises(RunDirectoryError, match="another arena"):
        hold(load(arena_file(**small, worker_momentum=0.5)), tmp_path / "out")
    with pytest.raises(RunDirectoryError, match="another arena or run config"):
        hold(load(arena_file(**small, overrides=["server.rounds=3"])), tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(RunDirectoryError, match="files that are not a run"):
        hold(load(arena_file(**small)), tmp_path / "full")


def test_the_results_show_the_price_the_worst_case_and_that_the_attack_works_on_the_mean(
    arena_file: Write, tmp_path: Path
) -> None:
    hold(load(arena_file(overrides=["server.rounds=8"])), tmp_path / "out")
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    mean, median = report["standings"]
    assert (mean["defence"], median["defence"]) == ("mean", "median")
    assert mean["unattacked"]["mean"] > 0.7
    assert mean["attacked"]["foe x50"]["mean"] < 0.3
    assert mean["worst"] == "foe x50"
    assert median["attacked"]["foe x50"]["mean"] > median["unattacked"]["mean"] - 0.1
    assert min(mean["price"], median["price"]) == 0.0
    assert mean["unattacked"]["seeds"] == 2


@pytest.mark.parametrize("masking", ["true", "false"])
def test_masked_groups_go_through_the_real_process_and_resume_too(
    arena_file: Write, tmp_path: Path, masking: str
) -> None:
    arena = load(
        arena_file(
            overrides=[
                f"secure_aggregation.masking={masking}",
                "secure_aggregation.group_size=2",
                "secure_aggregation.threshold=2",
                "secure_aggregation.clip_norm=0.5",
            ],
            seeds=[0],
            attacks=[{"name": "alie_line_search"}, {"name": "pixel_backdoor"}],
            worker_momentum=0.5,
            evaluations=1,
        )
    )
    results = hold(arena, tmp_path / "out")
    again = hold(arena, tmp_path / "again")
    assert without_time(results) == without_time(again)
    assert all(len(one["path"]) == 1 for one in results)
    aims = {one["attack"]: one["aim"] for one in results}
    assert aims["none"] is None
    assert 0.0 <= aims["pixel_backdoor"] <= 1.0
