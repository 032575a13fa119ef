"""`securefl run` and `securefl resume`: whole runs, with a progress bar and a summary."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from securefl.cli import output
from securefl.cli.arguments import ConfigFile, Json, Overrides, RunFolder
from securefl.cli.progress import progress_bar

if TYPE_CHECKING:
    from securefl.config import Config

RUNS = Path("runs")
Report = Callable[[Mapping[str, object]], None]


def run(
    config: ConfigFile,
    overrides: Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="New folder for the run; default runs/NAME, then runs/NAME-2, ..."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the federation of CONFIG: print its guarantee card, train, write the folder and its report."""
    with output.told(as_json):
        from securefl import config as configuration
        from securefl.run import run as play

        settled = configuration.load(config, overrides or ())
        target = free_folder(RUNS / settled.name) if out is None else out
        refuse_occupied(target)
        with _stoppable(target):
            if not as_json:
                _print_card(settled)
            with rounds_bar() as progress:
                summary = play(settled, target, progress=progress)
        _finish(summary, target, as_json)


def resume(folder: RunFolder, as_json: Json = False) -> None:
    """Go on with the stopped run in DIR. Stored answers are sent again, nothing is charged twice."""
    with output.told(as_json):
        from securefl.run import resume as play_on

        with _stoppable(folder), rounds_bar() as progress:
            summary = play_on(folder, progress=progress)
        _finish(summary, folder, as_json)


def free_folder(wanted: Path) -> Path:
    """`wanted`, or wanted-2, wanted-3, ... if something lies there."""
    number, folder = 1, wanted
    while folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def refuse_occupied(target: Path) -> None:
    """Raises RunDirectoryError before any work is done for a folder that holds something."""
    from securefl.run_directory import refuse_occupied as refuse

    refuse(target)


@contextmanager
def rounds_bar() -> Iterator[Report]:
    """A callback that moves a bar over the rounds of a run."""
    with progress_bar("round") as moved:

        def report(event: Mapping[str, object]) -> None:
            # An abandoned round is played again, so the round that an event names may stand still.
            done = int(str(event["round"])) - (event["status"] != "done")
            moved(done, int(str(event["rounds"])), _line(event))

        yield report


def _line(event: Mapping[str, object]) -> str:
    accuracy, epsilon = event["test_accuracy"], event["epsilon"]
    parts = [f"accuracy {accuracy:.3f}"] if isinstance(accuracy, float) else []
    parts += [f"epsilon {epsilon:.2f}"] if isinstance(epsilon, float) else []
    parts += [str(event["status"])] if event["status"] != "done" else []
    return "  ".join(parts)


@contextmanager
def _stoppable(folder: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        from securefl.run_directory import CONFIG

        if (folder / CONFIG).exists():
            raise output.fail(f"Stopped. `securefl resume {folder}` goes on where it was.") from None
        raise output.fail("Stopped before anything was written; the same command begins again.") from None


def _print_card(config: Config) -> None:
    from securefl.building import load_dataset
    from securefl.guarantee import card, settle

    output.print_markdown(card(settle(config, load_dataset(config))).markdown())
    sys.stdout.flush()


def _finish(summary: Mapping[str, object], folder: Path, as_json: bool) -> None:
    from securefl import report
    from securefl.cli.summary import print_summary

    page = report.write(folder)
    if as_json:
        output.print_json(dict(summary))
    else:
        print_summary(summary, folder, page)
    if summary.get("rounds_done") == 0:
        raise output.fail(
            "Every round was abandoned: the model is the initial one. The reasons are in "
            f"{folder / 'rounds.jsonl'}; larger groups, a lower threshold or fewer dropouts help."
        )
