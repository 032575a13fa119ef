"""What leaves the command line: results as text or JSON, errors as one message and an exit code.

Rules kept here: JSON is strict (no NaN, no infinity); text from files is never read as markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from securefl.errors import (
    BudgetExceeded,
    ConfigError,
    DataError,
    LedgerUnusable,
    NotAvailable,
    RunDirectoryError,
    SecureFLError,
)

FAILED = 1
BAD_INPUT = 2
_AUTHORS_FAULT = (ConfigError, DataError, BudgetExceeded, LedgerUnusable, RunDirectoryError, NotAvailable)


@contextmanager
def told(as_json: bool) -> Iterator[None]:
    """Turns the errors of a command into one message on stderr and its exit code."""
    try:
        yield
    except SecureFLError as error:
        _tell(error, str(error), as_json)
        raise typer.Exit(BAD_INPUT if isinstance(error, _AUTHORS_FAULT) else FAILED) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _tell(error, f"{where}{error.strerror or error}; check that the path exists and is yours", as_json)
        raise typer.Exit(FAILED) from None


def fail(message: str) -> typer.Exit:
    """Says why a finished command still failed; raise what it returns."""
    Console(stderr=True).print(message, style="bold red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(FAILED)


def print_json(value: object) -> None:
    """One JSON value on stdout."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def print_text(text: str) -> None:
    """Plain text on stdout, unwrapped."""
    typer.echo(text)


def print_markdown(text: str) -> None:
    """Markdown on stdout: laid out on a terminal, as it is in a file."""
    console = Console()
    if not console.is_terminal:
        typer.echo(text)
        return
    from rich.markdown import Markdown

    console.print(Markdown(text))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A small table on stdout; every column but the first is numbers."""
    console = Console()
    console.print(title, style="bold", markup=False, highlight=False)
    table = Table()
    for at, column in enumerate(columns):
        table.add_column(column, justify="left" if at == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _tell(error: Exception, message: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_as_json(error, message)), err=True)
        return
    console = Console(stderr=True)
    console.print("Error:", style="bold red", end=" ")
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def _as_json(error: Exception, message: str) -> Mapping[str, str]:
    path = {"path": error.path} if isinstance(error, ConfigError) else {}
    return {"error": type(error).__name__, "message": message, **path}
