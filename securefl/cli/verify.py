"""`securefl verify`: runs the threat models and says which claims hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from securefl.cli import output
from securefl.cli.progress import progress_bar

if TYPE_CHECKING:
    from securefl.threats import Finding

THREAT_MODELS = Path("threat_models")
STDOUT = Path("-")


def verify(
    place: Annotated[
        Path, typer.Argument(metavar="[FILE|DIR]", help="A threat model, or a folder of them.")
    ] = THREAT_MODELS,
    config: Annotated[
        Path | None,
        typer.Option(metavar="YAML", help="Test this run config in place of the files' own."),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Small budgets: fewer seeds and attacks.")] = False,
    proofs: Annotated[
        bool, typer.Option("--proofs/--no-proofs", help="Whether to run the tests that proofs name.")
    ] = True,
    json: Annotated[Path | None, typer.Option(metavar="FILE|-", help="Write JSON; - for stdout.")] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one HTML page.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes; default one per core, 1 stays in this one.")
    ] = None,
) -> None:
    """Run the claims of threat models. Exit code 1 if one is REFUTED or INCONCLUSIVE.

    HOLDS means against these attacks, within this budget, at this confidence. REFUTED comes with its
    witness. INCONCLUSIVE: the attack did not even succeed with the defence off, or samples are too few.
    NOT TESTED does not fail, and says why.
    """
    with output.told(json == STDOUT):
        from securefl.threats import Settings, as_json, load_all
        from securefl.threats import junit as as_junit
        from securefl.threats import verify as run

        models = load_all(place)
        settings = Settings(config, fast, workers or os.cpu_count() or 1, proofs)
        with progress_bar("experiment") as progress:
            findings = run(models, place, settings, progress)
        if junit is not None:
            _write(junit, as_junit(findings))
        if html is not None:
            _write(html, _page(findings))
        if json == STDOUT:
            output.print_json(as_json(findings))
        else:
            if json is not None:
                _write(json, _text(as_json(findings)))
            output.print_text(lines(findings))
        failing = [one.name for one in findings if one.failing]
        if failing:
            raise output.fail(f"{len(failing)} of {len(findings)} claims do not hold: {', '.join(failing)}")


def lines(findings: Sequence[Finding]) -> str:
    """One line per claim, columns aligned; a second, indented one where there is more to say."""
    from securefl.threats import Word, words

    rows = [("claim", "undefended", "defended", "bound", "verdict")]
    rows += [
        (
            one.name,
            words.measured(one.verdict.undefended),
            words.measured(one.verdict.defended),
            words.bound(one.claim),
            str(one.verdict.word),
        )
        for one in findings
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    notes = [""] + [
        words.terms(one) if one.verdict.word is Word.HOLDS else one.verdict.reason for one in findings
    ]
    return "\n".join(f"{line}  {note}".rstrip() for line, note in zip(text, notes, strict=True))


def _page(findings: Sequence[Finding]) -> str:
    import datetime

    from securefl import __version__
    from securefl.threats import page

    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return page(findings, f"securefl {__version__} verify, {now}")


def _text(value: object) -> str:
    import json

    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> None:
    from securefl.run_directory import write_atomically

    write_atomically(path, text)
