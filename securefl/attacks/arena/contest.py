"""A whole arena in a folder: every cell once, killed anywhere, goes on.

Rules kept here:
- All cells' configs are validated before the first one is played.
- A cell's result is written atomically when it is finished; a cell that was being played when the process
  died is played again from its first round, and gives the same numbers.
- A folder belongs to one arena: another one's is refused. One process at a time holds it.

What this file does NOT do: draw (`securefl.report.heat_map`) or print.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path

from securefl import config as configuration
from securefl import run_directory as folder
from securefl.attacks.arena.cell import Cell, cell_config, play
from securefl.attacks.arena.config import Arena
from securefl.attacks.arena.standings import Result, Standing, standings
from securefl.building import load_dataset
from securefl.config import Config
from securefl.data import Dataset
from securefl.errors import RunDirectoryError

MANIFEST, RESULTS, CELLS = "arena.json", "results.json", "cells"
Progress = Callable[[int, int, str], None]
"""(cells done, cells, what is being played)."""


def cells_of(arena: Arena) -> tuple[Cell, ...]:
    """All cells, seed by seed, the ones without an attack first.

    Without an attack the number of attackers only matters where they would be absent.
    """
    absent = arena.attackers if arena.attackers_data == "sample" else (0,)
    return tuple(
        Cell(defence, attack, partition, attackers, seed)
        for seed, attack in product(arena.seeds, (None, *arena.attacks))
        for partition, attackers, defence in product(
            arena.heterogeneity, absent if attack is None else arena.attackers, arena.defences
        )
    )


def check(arena: Arena) -> tuple[Cell, ...]:
    """The cells, if every one of them can run.

    Raises:
        ConfigError: the first one that cannot, and why.
    """
    cells = cells_of(arena)
    for cell in cells:
        if cell.seed == arena.seeds[0]:  # a seed changes no check
            cell_config(arena, cell)
    return cells


def hold(arena: Arena, out: Path, progress: Progress | None = None) -> tuple[Result, ...]:
    """Plays what is not yet played, and returns all results.

    Raises:
        ConfigError: a cell cannot run; nothing was played.
        RunDirectoryError: the folder is another arena's, or cannot be written.
    """
    from securefl.training import limit_threads

    limit_threads(1)
    cells = check(arena)
    _claim(arena, out)
    with folder.held(out):
        results, data = [], _Data()
        for done, cell in enumerate(cells):
            if progress is not None:
                progress(done, len(cells), _words(cell))
            results.append(_finished(arena, cell, out, data))
        report = {"arena": _plain(arena), "standings": plain(standings(results)), "cells": results}
        folder.write_json(out / RESULTS, report)
    return tuple(results)


def plain(found: Sequence[Standing]) -> list[dict[str, object]]:
    """Standings as JSON values."""
    return [asdict(one) for one in found]


class _Data:
    """The data set of the seed in hand; one at a time, because it may be large."""

    def __init__(self) -> None:
        self._seed: int | None = None
        self._dataset: Dataset | None = None

    def of(self, config: Config) -> Dataset:
        """The config's data set; an arena's cells differ in nothing else that it depends on."""
        if self._dataset is None or self._seed != config.seed:
            self._seed, self._dataset = config.seed, load_dataset(config)
        return self._dataset


def _finished(arena: Arena, cell: Cell, out: Path, data: _Data) -> Result:
    """The cell's result: read if it was played before, else played and written."""
    path = out / CELLS / f"{_id(cell)}.json"
    if path.exists():
        return folder.read_json(path)
    result: Result = cell.key | play(arena, cell, data.of(cell_config(arena, cell))).as_json()
    folder.write_json(path, result)
    return result


def _claim(arena: Arena, out: Path) -> None:
    manifest = out / MANIFEST
    if manifest.exists():
        if folder.read_json(manifest) != _plain(arena):
            raise RunDirectoryError(
                f"--out {out}: expected the folder of this arena, got one of another arena or run config; "
                "name another folder"
            )
        return
    folder.refuse_occupied(out)
    folder.create(out)
    folder.write_json(manifest, _plain(arena))


def _plain(arena: Arena) -> dict[str, object]:
    """What the folder belongs to: the axes, and the content of the run config (its place may change)."""
    text = configuration.dump(configuration.load(Path(arena.config), arena.overrides))
    values: dict[str, object] = json.loads(arena.model_dump_json(exclude={"config"}))
    return values | {"run": hashlib.sha256(text.encode()).hexdigest()}


def _id(cell: Cell) -> str:
    return hashlib.sha256(json.dumps(cell.key, sort_keys=True).encode()).hexdigest()[:20]


def _words(cell: Cell) -> str:
    key = cell.key
    return (
        f"{key['defence']}, {key['attack']}, {key['heterogeneity']}, f={key['attackers']}, seed {key['seed']}"
    )
