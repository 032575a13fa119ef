"""Who was there: groups by rounds and clients by rounds, as one picture of small cells.

Rules kept here: a cell has a digit or a sign besides its colour; a round that was abandoned has a cross
above it; however many rounds there are, the picture stays a few hundred outlines.

What this file does NOT do: single updates. Membership and survival are what the server knows anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from securefl.report.figure import FAINT_INK, INK, ORANGE, PALE_BLUE, QUIET, VERMILION, blank, style, to_svg
from securefl.report.record import GroupRecord, RoundRecord, RunRecord

WIDE = 9.6
# Above this many rounds a cell is too narrow for a digit or a gap, and equal neighbours are drawn as one bar.
CELLS_WITH_DIGITS = 60
CLIENT_ROWS_AT_MOST = 64
FAINT_BLUE = "#d6e9f4"
SIGNS = {"excluded_norm": "N", "excluded_nonfinite": "∞", "excluded_weight": "W"}


def survivors(run: RunRecord) -> str | None:
    """Groups by rounds, and below it clients by rounds: who stayed, and whose sum was used."""
    rounds = [line for line in run.rounds if line.groups]
    if not rounds:
        return None
    group_ids = sorted({group.group for line in rounds for group in line.groups})
    clients = sorted({member for line in rounds for group in line.groups for member in group.members})
    with_clients = len(clients) <= CLIENT_ROWS_AT_MOST
    rows = len(group_ids) + (len(clients) * 0.55 + 1 if with_clients else 0)
    with style():
        figure, axes = blank(WIDE, 0.9 + 0.26 * rows)
        axes.remove()
        heights = [len(group_ids), len(clients) * 0.55] if with_clients else [1]
        panels = figure.subplots(
            len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
        )[:, 0]
        _group_cells(panels[0], rounds, group_ids)
        _abandoned_marks(panels[0], rounds)
        if with_clients:
            _client_cells(panels[1], rounds, clients)
        _round_axis(panels[-1], rounds)
        return to_svg(figure, "survivors", "Survivors per group and client, round by round")


def _group_cells(axes: Axes, rounds: Sequence[RoundRecord], group_ids: Sequence[int]) -> None:
    """One cell per group and round: how many survived, or why its sum was not used."""
    table = [
        [next((group for group in line.groups if group.group == wanted), None) for line in rounds]
        for wanted in group_ids
    ]
    _cells(axes, [[_group_colour(group) for group in row] for row in table])
    if len(rounds) <= CELLS_WITH_DIGITS:
        for place, row in enumerate(table):
            for column, group in enumerate(row):
                if group:
                    _cell_word(axes, column, place, group)
    axes.set_yticks(range(len(group_ids)), [f"group {group}" for group in group_ids])


def _group_colour(group: GroupRecord | None) -> str | None:
    if group is None:
        return None
    if group.status == "summed":
        return PALE_BLUE if len(group.survivors) == len(group.members) else FAINT_BLUE
    return VERMILION if group.status.startswith("excluded") else ORANGE


def _cell_word(axes: Axes, column: int, place: int, group: GroupRecord) -> None:
    text = str(len(group.survivors)) if group.status == "summed" else SIGNS.get(group.status, "–")
    colour = "white" if group.status.startswith("excluded") else INK
    axes.text(column, place, text, ha="center", va="center_baseline", color=colour, fontsize=8)


def _client_cells(axes: Axes, rounds: Sequence[RoundRecord], clients: Sequence[int]) -> None:
    """One cell per client and round: in a sum that was used, in a group whose sum was not, or away."""
    table = [[_client_colour(line, client) for line in rounds] for client in clients]
    _cells(axes, table)
    step = 1 if len(clients) <= 24 else 5
    axes.set_yticks(
        range(0, len(clients), step), [f"client {client}" for client in clients[::step]], fontsize=7
    )


def _client_colour(line: RoundRecord, client: int) -> str | None:
    """None: not drawn for this round. White: drawn, and gone before the sum."""
    group = next((group for group in line.groups if client in group.members), None)
    if group is None:
        return None
    if client not in group.survivors:
        return "white"
    return PALE_BLUE if group.status == "summed" else _group_colour(group)


def _cells(axes: Axes, colours: Sequence[Sequence[str | None]]) -> None:
    """A grid of cells as one outline per colour; rows count downwards from zero."""
    columns = max(len(row) for row in colours)
    gap = 0.06 if columns <= CELLS_WITH_DIGITS else 0.0
    for colour in sorted({colour for row in colours for colour in row if colour}):
        boxes = [
            Outline([(a, b), (c, b), (c, d), (a, d), (a, b)], closed=True)
            for a, b, c, d in _boxes(colours, colour, gap)
        ]
        edge = FAINT_INK if colour == "white" else "none"
        axes.add_patch(
            PathPatch(Outline.make_compound_path(*boxes), facecolor=colour, edgecolor=edge, lw=0.6)
        )
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(len(colours) - 0.5, -0.5)
    axes.grid(visible=False)
    for side in ("bottom", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, labelcolor=INK)


def _boxes(
    colours: Sequence[Sequence[str | None]], colour: str, gap: float
) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of each cell of `colour`; without gaps, equal neighbours are one box."""
    boxes: list[tuple[float, float, float, float]] = []
    for place, row in enumerate(colours):
        start: int | None = None
        for column, here in enumerate([*row, None]):
            if here != colour or (gap and start is not None):
                if start is not None:
                    boxes.append((start - 0.5 + gap, place - 0.44, column - 0.5 - gap, place + 0.44))
                start = None
            if here == colour and start is None:
                start = column
    return boxes


def _round_axis(axes: Axes, rounds: Sequence[RoundRecord]) -> None:
    shown = range(0, len(rounds), max(1, len(rounds) // 30))
    axes.set_xticks(shown, [str(rounds[at].round) for at in shown], fontsize=8, color=QUIET)
    axes.set_xlabel("round")


def _abandoned_marks(axes: Axes, rounds: Sequence[RoundRecord]) -> None:
    """A cross above every round that was abandoned."""
    lost = [at for at, line in enumerate(rounds) if line.abandoned]
    if not lost:
        return
    axes.plot(lost, [-0.72] * len(lost), "x", color=VERMILION, markersize=5, clip_on=False)
