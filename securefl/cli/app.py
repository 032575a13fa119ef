"""The command line's entry: which commands there are, and what they share."""

from __future__ import annotations

from typing import Annotated

import typer

from securefl.cli import ledger as ledgers
from securefl.cli.agent import agent
from securefl.cli.arena import arena
from securefl.cli.audit import audit
from securefl.cli.planning import budget, check
from securefl.cli.results import evaluate, export, report
from securefl.cli.running import resume, run
from securefl.cli.starting import init, schema
from securefl.cli.verify import verify

EPILOG = (
    "Exit codes: 0 done; 1 the run failed (protocol, rounds, privacy, files); 2 bad input (config, data, "
    "budget, ledger, folder), and nothing was started."
)

app = typer.Typer(
    name="securefl",
    help="Federated learning with differential privacy, secure aggregation and robust rules.",
    epilog=EPILOG,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # A traceback with local variables could print keys or data.
    pretty_exceptions_enable=False,
)
for command in (
    *(run, resume, check, budget, init, schema, report, evaluate, export),
    *(arena, verify, audit, agent),
):
    app.command(epilog=EPILOG)(command)
for part in (ledgers.show, ledgers.verify, ledgers.head):
    ledgers.ledger.command(epilog=EPILOG)(part)
app.add_typer(ledgers.ledger, epilog=EPILOG)


def main() -> None:
    """Runs the command line; the entry point of the `securefl` script."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        from securefl import __version__

        typer.echo(f"securefl {__version__}")
        raise typer.Exit


@app.callback()
def _shared(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Federated learning with differential privacy, secure aggregation and robust rules."""
