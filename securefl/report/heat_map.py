"""A table of shares as a heat map: one PNG of its own, for what has no page to stand in.

Rules kept here:
- Every cell carries its number, so nothing rests on colour alone; the scale is fixed from 0 to 1, so that
  two pictures can be laid side by side.
- Equal tables give equal bytes: no date, no version of matplotlib in the file.

What this file does NOT do: decide what a number means.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.colors import LinearSegmentedColormap

from securefl.report.figure import BLUE, INK, VERMILION, blank, style

_COLOURS = LinearSegmentedColormap.from_list("shares", (VERMILION, "#f3e9e2", BLUE))
_DPI = 160


def heat_map(
    title: str, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]]
) -> bytes:
    """The PNG of a table of shares in [0, 1]; None leaves a cell empty.

    Shapes: values (rows, columns).
    """
    with style():
        figure, axes = blank(2.2 + 0.85 * len(columns), 1.5 + 0.36 * len(rows))
        drawn = [[float("nan") if value is None else value for value in row] for row in values]
        axes.imshow(drawn, cmap=_COLOURS, vmin=0.0, vmax=1.0, aspect="auto")
        for at, row in enumerate(values):
            for across, value in enumerate(row):
                if value is not None:
                    dark = abs(value - 0.5) > 0.35
                    axes.text(
                        across, at, f"{value:.2f}", ha="center", va="center", color="white" if dark else INK
                    )
        axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(axis="both", length=0.0, labelcolor=INK)
        axes.spines["bottom"].set_visible(False)
        axes.grid(visible=False)
        axes.set_title(title, loc="left", fontsize=10.0)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
