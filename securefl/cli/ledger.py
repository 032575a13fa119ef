"""`securefl ledger show|verify|head`: what was spent on which data, and whether the file is whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from securefl.cli import output
from securefl.cli.arguments import Json

if TYPE_CHECKING:
    from securefl.privacy import Expense, Ledger

ledger = typer.Typer(
    name="ledger",
    help="What was spent on which data (show), whether the file is sound (verify), what to pin (head).",
    no_args_is_help=True,
)

LedgerFile = Annotated[
    Path, typer.Argument(metavar="PATH", help="File of a ledger, or the folder of a run that has its own.")
]
_HEAD = 64


def show(
    path: LedgerFile,
    delta: Annotated[
        float, typer.Option(metavar="NUMBER", help="Delta at which epsilon is stated; records hold none.")
    ] = 1e-5,
    accountant: Annotated[str, typer.Option(metavar="pld|rdp", help="How epsilon is computed.")] = "pld",
    as_json: Json = False,
) -> None:
    """Who spent what: data, run, event, releases of the worst client, and epsilon at a delta.

    The whole chain is checked on the way. Epsilon of a data source is for one of its training examples, or
    for one client where the event says so (by RDP then), over all runs: the worst client of each, added up.
    """
    with output.told(as_json):
        from securefl.privacy import epsilon_by_source, expenses

        with _opened(path) as book:
            rows = expenses(book, delta, accountant)
            sums = epsilon_by_source(book, delta, accountant) if book.private else {}
            facts = {"private": book.private, "records": len(book.records()), "head": book.head()}
        if as_json:
            spent = [asdict(row) | {"epsilon": row.epsilon if facts["private"] else None} for row in rows]
            output.print_json({**facts, "delta": delta, "spent": spent, "epsilon_by_source": sums})
            return
        _print_rows(rows, sums, delta)
        output.print_text(f"{facts['records']} records, head {facts['head']}")


def verify(
    path: LedgerFile,
    head: Annotated[
        str | None,
        typer.Option(metavar="HEX", help="A head printed by `securefl ledger head` and kept elsewhere."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every page, record and stored answer; with --head also that nothing since then was lost.

    Without --head an older copy of the file, or a tail cut so that the rest looks whole, is NOT noticed:
    nothing in the file itself can show it. Pin a head after every run.
    """
    with output.told(as_json):
        pinned = None if head is None else _head(head)
        with _opened(path) as book:
            book.verify(contains=pinned)
            count, last = len(book.records()), book.head()
        if as_json:
            output.print_json({"sound": True, "pinned": pinned, "records": count, "head": last})
            return
        against = "against no pinned head: an older copy would look the same"
        if pinned is not None:
            against = f"and contains the pinned head {pinned[:16]}..."
        output.print_text(f"{path}: sound, {against}\n{count} records, head {last}")


def head(path: LedgerFile, as_json: Json = False) -> None:
    """Print the digest of the last record: keep it elsewhere, and `verify --head` holds the file to it."""
    with output.told(as_json):
        with _opened(path) as book:
            found = book.head()
        if as_json:
            output.print_json({"head": found})
        else:
            output.print_text(found)


def _opened(path: Path) -> Ledger:
    from securefl.privacy import Ledger
    from securefl.run_directory import LEDGER

    return Ledger.open(path / LEDGER if path.is_dir() else path, create=False, private=None)


def _head(text: str) -> str:
    from securefl.errors import ConfigError

    found = text.strip().lower()
    if len(found) != _HEAD or not set(found) <= set("0123456789abcdef"):
        raise ConfigError(
            f"expected the {_HEAD} hex digits that `securefl ledger head` prints, got {text!r}", "--head"
        )
    return found


def _print_rows(rows: tuple[Expense, ...], sums: dict[str, float], delta: float) -> None:
    from securefl.privacy import event_text

    if rows and not sums:
        output.print_text("NOT PRIVATE: a ledger of replayable test runs; epsilon is infinite.")
    for row in rows:
        price = f"epsilon {row.epsilon:.4f}" if sums else "no epsilon"
        output.print_text(
            f"data {row.source[:12]}  run {row.run[:12]}  {row.count} releases by the worst of {row.clients} "
            f"clients, {price} at delta {delta:g}\n    each {event_text(row.event)}"
        )
    for source, spent in sums.items():
        output.print_text(f"data {source[:12]}  all runs: epsilon {spent:.4f} at delta {delta:g}")
