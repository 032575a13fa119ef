"""Membership curves on log-log axes: one PNG, because what counts is the left end.

Rules kept here: chance is drawn; the axes end where one non-member lies, since below that there is no rate;
curves differ by their dashes too, so nothing rests on colour alone. Equal curves give equal bytes.

What this file does NOT do: compute rates.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from securefl.report.figure import BLUE, ORANGE, QUIET, VERMILION, blank, style

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(false-positive rates, true-positive rates)."""
_DPI = 160
_DASHES = ("-", "--", "-.", (0, (4, 1, 1, 1, 1, 1)), (0, (8, 2)))
_INKS = (BLUE, VERMILION, ORANGE, "#009e73", "#7b4f9d")


def roc_curve(title: str, curves: Mapping[str, Curve], others: int) -> bytes:
    """The PNG of curves by name, measured with so many non-members."""
    left = 1.0 / others
    with style():
        figure, axes = blank(5.2, 4.6)
        axes.plot([left, 1.0], [left, 1.0], color=QUIET, linewidth=1.0, linestyle=":", label="chance")
        for at, (name, (false, true)) in enumerate(curves.items()):
            shown = (false >= left) & (true > 0)
            look = at % len(_INKS)
            axes.plot(
                false[shown],
                true[shown],
                color=_INKS[look],
                linestyle=_DASHES[look],
                linewidth=1.4,
                label=name,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(left, 1.0)
        axes.set_ylim(left, 1.0)
        axes.set_xlabel(f"false-positive rate ({others:,} non-members)")
        axes.set_ylabel("true-positive rate")
        axes.legend(loc="lower right", frameon=False, fontsize=8.0)
        axes.set_title(title, loc="left", fontsize=10.0)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
