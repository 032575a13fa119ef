"""A progress bar on stderr that vanishes when it is done; nothing is drawn where that is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Moved = Callable[[int, int, str], None]
"""(done, of how many, words beside the bar)."""


@contextmanager
def progress_bar(noun: str) -> Iterator[Moved]:
    """A callback that moves a bar over things called `noun`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn(noun),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda done, count, words: bar.update(task, completed=done, total=count, description=words)
