"""`securefl arena`: the config of a run under attacks, rule by rule, in a folder that can be gone on with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from securefl.cli import output
from securefl.cli.arguments import Json
from securefl.cli.progress import progress_bar

if TYPE_CHECKING:
    from securefl.attacks.arena import Arena, Estimate, Standing

ARENAS = Path("arenas")


def arena(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="YAML file of the arena: a run, and axes.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Its folder; default arenas/NAME. One that was stopped goes on."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Play attacks x rules x heterogeneity x attackers over seeds; run again, a stopped one goes on."""
    with output.told(as_json):
        from securefl.attacks.arena import hold, load, standings

        settled = load(config)
        target = ARENAS / settled.name if out is None else out
        with _stoppable(target, config), progress_bar("cell") as progress:
            results = hold(settled, target, progress)
        found = standings(results)
        pictures = write_pictures(settled, found, target)
        if as_json:
            from securefl.run_directory import read_json

            output.print_json(read_json(target / "results.json"))
            return
        output.print_markdown(markdown(found))
        output.print_text(f"Wrote {target}: results.json, table.md, {', '.join(pictures)}")


_EXPLANATION = (
    "Accuracy of the final model: mean over seeds, +- the half width of the 95 % Student t interval (none "
    "with one seed).\nprice: what a defence costs without an attack, against the best one here. worst: the "
    "attack with the lowest mean. aim: part of the attacker's own wishes that the model fulfils."
)


def markdown(found: Sequence[Standing]) -> str:
    """One table per heterogeneity and number of attackers: a column per defence, a row per attack."""
    parts = []
    for place, here in by_place(found).items():
        columns = ["accuracy", *(one.defence for one in here)]
        rows = [
            ["no attack", *(_text(one.unattacked) for one in here)],
            ["price", *(f"{one.price:.3f}" for one in here)],
            *([name, *(_attacked(one, name) for one in here)] for name in here[0].attacked),
            ["worst", *(one.worst for one in here)],
        ]
        lines = [columns, ["---"] * len(columns), *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"### {place[0]}, {place[1]} malicious clients\n\n{table}")
    return "\n\n".join([*parts, _EXPLANATION]) + "\n"


def by_place(found: Sequence[Standing]) -> dict[tuple[str, int], list[Standing]]:
    """The standings by heterogeneity and number of attackers."""
    places: dict[tuple[str, int], list[Standing]] = {}
    for one in found:
        places.setdefault((one.heterogeneity, one.attackers), []).append(one)
    return places


def write_pictures(arena: Arena, found: Sequence[Standing], out: Path) -> list[str]:
    """Writes table.md and one heat map per heterogeneity and number of attackers; their names."""
    from securefl import run_directory as folder
    from securefl.report import heat_map

    names = []
    for at, (place, here) in enumerate(by_place(found).items(), start=1):
        attacks = list(here[0].attacked)
        picture = heat_map(
            f"{arena.name}: accuracy, {place[0]}, {place[1]} malicious",
            [one.defence for one in here],
            ["no attack", *attacks],
            [[one.unattacked.mean, *[one.attacked[name].mean for name in attacks]] for one in here],
        )
        names.append(f"accuracy-{at}.png")
        folder.write_atomically(out / names[-1], picture)
    folder.write_atomically(out / "table.md", markdown(found))
    return names


@contextmanager
def _stoppable(folder: Path, config: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise output.fail(
            f"Stopped. `securefl arena {config} --out {folder}` goes on; finished cells are kept."
        ) from None


def _text(one: Estimate) -> str:
    return f"{one.mean:.3f}" + ("" if one.half_width is None else f" +-{one.half_width:.3f}")


def _attacked(standing: Standing, attack: str) -> str:
    aim = standing.aims.get(attack)
    return _text(standing.attacked[attack]) + ("" if aim is None else f" (aim {aim.mean:.2f})")
