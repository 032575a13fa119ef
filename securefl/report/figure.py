"""One matplotlib figure becomes one piece of SVG that can stand inside an HTML page.

Rules kept here:
- No pyplot, so no global figure, no display and no backend to choose; style is set per figure.
- Text stays text: it is sharp, selectable, read aloud, and takes the font of the page.
- What comes out names no address at all: document type, metadata and namespaces are cut off, which
  HTML allows for inline SVG.
- Equal figures give equal bytes: no date, and ids are hashed with the figure's own name.

Colours are from Okabe and Ito's palette, which people with the common colour blindnesses can tell apart;
no figure relies on colour alone.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1b1f24"
QUIET = "#6b7280"
FAINT_INK = "#c3c8cf"
HAIRLINE = "#e3e6ea"
BLUE = "#0072b2"
PALE_BLUE = "#a9d0e8"
VERMILION = "#d55e00"
ORANGE = "#e69f00"


@contextmanager
def style() -> Iterator[None]:
    """The look of every figure on the page, inside the `with` block only."""
    with matplotlib.rc_context(
        {
            "svg.fonttype": "none",
            "font.size": 9.0,
            "text.color": INK,
            "text.parse_math": False,
            "axes.edgecolor": QUIET,
            "axes.labelcolor": QUIET,
            "axes.labelsize": 9.0,
            "axes.linewidth": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.spines.left": False,
            "xtick.color": QUIET,
            "ytick.color": QUIET,
            "xtick.major.width": 0.6,
            "ytick.major.size": 0.0,
            "lines.linewidth": 1.8,
            "lines.solid_capstyle": "round",
        }
    ):
        yield


def blank(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one empty pair of axes and light horizontal rules. Units: inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(axis="y", color=HAIRLINE, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def to_svg(figure: Figure, name: str, title: str) -> str:
    """`figure` as an inline SVG element that a screen reader announces by `title`."""
    with matplotlib.rc_context({"svg.hashsalt": name}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _inline(buffer.getvalue(), title)


def _inline(document: str, title: str) -> str:
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, count=1, flags=re.DOTALL)
    head, rest = svg.split(">", 1)
    head = re.sub(r'\s(?:xmlns(?::\w+)?|width|height|version)="[^"]*"', "", head)
    # Group ids such as axes_1 repeat from figure to figure, and nothing refers to them.
    rest = re.sub(r'<g id="[^"]*"', "<g", rest)
    return f'{head} role="img" aria-label="{_attribute(title)}">{rest.strip()}'


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
