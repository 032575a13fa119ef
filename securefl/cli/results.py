"""`securefl report`, `securefl evaluate` and `securefl export`: what came out of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from securefl.cli import output
from securefl.cli.arguments import Json, RunFolder


def report(folder: RunFolder, as_json: Json = False) -> None:
    """Write report.html of a run again, finished or not: one self-contained file."""
    with output.told(as_json):
        from securefl import report as pages

        page = pages.write(folder)
        if as_json:
            output.print_json({"report": str(page)})
        else:
            output.print_text(f"Wrote {page}")


def evaluate(
    folder: RunFolder,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="digits, fashion_mnist, mnist_5k, heart_disease, or a csv or npz file."
        ),
    ],
    label: Annotated[
        str | None, typer.Option(help="Column or array of the labels; default: as in the run's config.")
    ] = None,
    client: Annotated[
        str | None, typer.Option(help="Column or array of the clients, if any; default: as in the config.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a finished run's model on DATA: a built-in set's test part, or all rows of a csv or npz file."""
    with output.told(as_json):
        from securefl import config as configuration
        from securefl.cli.given_data import read
        from securefl.manifest import read as require_run
        from securefl.run import evaluate as score
        from securefl.run_directory import CONFIG

        require_run(folder)
        examples = read(configuration.load(folder / CONFIG), data, label, client)
        scores = score(folder, examples)
        if as_json:
            output.print_json({"data": data, **scores})
        else:
            rows = [
                ("accuracy", f"{scores['test_accuracy']:.4f}"),
                ("loss (nats)", f"{scores['test_loss']:.4f}"),
                ("examples", f"{scores['examples']:,.0f}"),
            ]
            output.print_table(f"{folder} on {data}", ("", "value"), rows)


def export(
    folder: RunFolder,
    out: Annotated[Path, typer.Option(metavar="ADAPTER", help="New folder for the adapter or the model.")],
    merge: Annotated[
        bool, typer.Option("--merge", help="Write the whole model with the adapter added to its weights.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a finished run's LoRA adapter, or its merged model, with a model card; peft loads it."""
    with output.told(as_json):
        from securefl.export import export as write
        from securefl.manifest import read as require_run

        require_run(folder)
        written = write(folder, out, merge)
        if as_json:
            output.print_json({"written": str(written)})
        else:
            output.print_text(f"Wrote {written}")
