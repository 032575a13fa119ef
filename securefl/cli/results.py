"""`securefl report`, `securefl evaluate` and `securefl export`: what came out of a run."""

from __future__ import annotations

from collections.abc import Mapping
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
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="digits, fashion_mnist, mnist_5k, heart_disease, or a csv or npz file; for a language model "
            "newsgroups, reuters_r8 or a jsonl file. Default: the run's own test part.",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column or array of the labels; default: as in the run's config.")
    ] = None,
    client: Annotated[
        str | None, typer.Option(help="Column or array of the clients, if any; default: as in the config.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a finished run's model on DATA: the test part of a built-in set, or all rows of a file.

    Where rows name their clients, each has a line of its own.
    """
    with output.told(as_json):
        from securefl import config as configuration
        from securefl.cli.given_data import own_test_part, read
        from securefl.manifest import read as require_run
        from securefl.manifest import refuse_other_base
        from securefl.run import as_numbers, evaluate_each
        from securefl.run_directory import CONFIG

        manifest, config = require_run(folder), configuration.load(folder / CONFIG)
        refuse_other_base(folder, manifest, config)
        given = (
            own_test_part(config, manifest.data.source_hash)
            if data is None
            else read(config, data, label, client)
        )
        each = evaluate_each(folder, given.examples)
        scores, clients = as_numbers(each.over()), given.by_client()
        per_client = {name: as_numbers(each.over(rows)) for name, rows in clients.items()}
        name = data or "its own test part"
        if as_json:
            output.print_json({"data": name, **scores, **({"clients": per_client} if per_client else {})})
            return
        output.print_table(f"{folder} on {name}", ("", "value"), _score_rows(scores))
        if per_client:
            columns = ("client", *(label for label, _ in _score_rows(scores)))
            rows = [(one, *(cell for _, cell in _score_rows(its))) for one, its in per_client.items()]
            output.print_table("Per client", columns, rows)


def _score_rows(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    return [
        (words, f"{scores[name]:{form}}")
        for name, words, form in (
            ("test_accuracy", "accuracy", ".4f"),
            ("token_accuracy", "accuracy of a token", ".4f"),
            ("test_loss", "loss (nats)", ".4f"),
            ("perplexity", "perplexity", ".3f"),
            ("examples", "examples", ",.0f"),
            ("tokens", "tokens", ",.0f"),
        )
        if name in scores
    ]


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
