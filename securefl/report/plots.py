"""The curves and bars of a run: from the record to an inline SVG, or to None where there is nothing to draw.

Rules kept here: labels stand beside what they name, so there are no legends; the accuracy pictures share
one vertical scale, so they can be compared.

What this file does NOT do: who survived (`survivors.py`), or what the page says about a picture (`page.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from securefl.report.figure import (
    BLUE,
    FAINT_INK,
    INK,
    PALE_BLUE,
    QUIET,
    VERMILION,
    blank,
    style,
    to_svg,
)
from securefl.report.quantity import bytes_text, seconds_text
from securefl.report.record import Metric, RoundRecord, RunRecord

PANEL = (3.6, 2.5)
WIDE = 9.6
CLIENT_ROWS_AT_MOST = 64
CLIENT_CURVES_AT_MOST = 64

Spot = tuple[float, float]


def accuracy_by_round(run: RunRecord) -> str | None:
    """Test accuracy against the round, with the rounds that were abandoned marked."""
    spots = _spots(run.metrics, lambda metric: float(metric.round))
    missed = [float(line.round) for line in run.abandoned]
    return _accuracy(run, spots, "round", "accuracy-round", whole_numbers=True, missed=missed)


def accuracy_by_epsilon(run: RunRecord) -> str | None:
    """Test accuracy against the epsilon that the most charged client had spent by then."""
    spots = _spots(run.metrics, lambda metric: metric.epsilon)
    return _accuracy(run, spots, "epsilon spent per client", "accuracy-epsilon")


def accuracy_by_bytes(run: RunRecord) -> str | None:
    """Test accuracy against the bytes that a client had sent by then, on average."""
    spots = _spots(run.metrics, lambda metric: metric.bytes_up)
    return _accuracy(run, spots, "sent per client", "accuracy-bytes", label=bytes_text)


def clip_by_round(run: RunRecord) -> str | None:
    """The clip of every round that was done, where it moves."""
    spots = [(float(line.round), line.clip) for line in run.rounds if line.clip and not line.abandoned]
    if not spots:
        return None
    with style():
        figure, axes = blank(*PANEL)
        x, y = zip(*spots, strict=True)
        axes.plot(x, y, color=BLUE, marker="o" if len(spots) == 1 else None, zorder=3)
        axes.annotate(f"{y[-1]:.3g}", spots[-1], (0, 7), textcoords="offset points", ha="right", color=BLUE)
        axes.set_yscale("log")
        plain = FuncFormatter(lambda value, _place: f"{value:g}")
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(plain if max(y) < 10 * min(y) else NullFormatter())
        axes.set_ylabel("clip (L2 norm)")
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        return to_svg(figure, "clip-round", f"Clip against the round, at the end {y[-1]:.3g}")


def time_by_phase(run: RunRecord) -> str | None:
    """Seconds per phase of a round, added up over the run, the longest on top."""
    phases = sorted(run.seconds_by_phase.items(), key=lambda item: item[1])
    total = sum(seconds for _, seconds in phases)
    if total <= 0:
        return None
    with style():
        figure, axes = blank(WIDE, 0.3 + 0.26 * len(phases))
        names = [name for name, _ in phases]
        lengths = [seconds for _, seconds in phases]
        axes.barh(names, lengths, height=0.62, color=BLUE)
        for place, seconds in enumerate(lengths):
            text = f"{seconds_text(seconds)}, {seconds / total:.0%}"
            axes.annotate(text, (seconds, place), (5, 0), textcoords="offset points", va="center")
        axes.grid(visible=False)
        axes.set_xlim(0, max(lengths) * 1.22)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="y", labelcolor=INK)
        return to_svg(figure, "time", "Seconds by phase: " + ", ".join(names[::-1]))


def client_losses(run: RunRecord) -> str | None:
    """Training loss of each client, which only a simulation can see; best and worst are named."""
    curves = _client_curves(run.rounds)
    if not curves or len(curves) > CLIENT_CURVES_AT_MOST:
        return None
    last = {client: spots[-1][1] for client, spots in curves.items()}
    worst, best = max(last, key=last.__getitem__), min(last, key=last.__getitem__)
    named = {worst: (VERMILION, "bottom"), best: (BLUE, "top")}
    with style():
        figure, axes = blank(WIDE, 2.4)
        for client, spots in curves.items():
            x, y = zip(*spots, strict=True)
            if client not in named:
                axes.plot(x, y, color=FAINT_INK, linewidth=0.9, zorder=2)
                continue
            colour, side = named[client]
            axes.plot(x, y, color=colour, zorder=3)
            axes.annotate(
                f"client {client}", spots[-1], (5, 0), textcoords="offset points", color=colour, va=side
            )
        axes.set_ylabel("training loss")
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.06)
        return to_svg(figure, "client-loss", "Training loss of each client, simulation only")


def client_scores(run: RunRecord) -> str | None:
    """Accuracy on each client's test rows beside always guessing that client's majority class."""
    scores = sorted(run.client_scores, key=lambda score: score.accuracy)
    if not scores or len(scores) > CLIENT_ROWS_AT_MOST:
        return None
    with style():
        figure, axes = blank(WIDE, 0.6 + 0.3 * len(scores))
        for place, score in enumerate(scores):
            if score.majority is not None:
                axes.plot([score.majority, score.accuracy], [place, place], color=PALE_BLUE, linewidth=3)
                axes.plot([score.majority], [place], "|", color=QUIET, markersize=11, markeredgewidth=1.6)
            axes.plot([score.accuracy], [place], "o", color=BLUE, markersize=7)
            axes.annotate(
                f"{score.accuracy:.3f}",
                (score.accuracy, place),
                (0, 7),
                textcoords="offset points",
                ha="center",
            )
        axes.set_yticks(range(len(scores)), [score.name for score in scores])
        axes.set_ylim(-0.6, len(scores) - 0.3)
        axes.set_xlabel("test accuracy ( | always guessing the majority class)")
        axes.tick_params(axis="y", labelcolor=INK)
        axes.margins(x=0.1)
        return to_svg(figure, "client-scores", "Accuracy of the final model by client")


def _spots(metrics: Sequence[Metric], across: Callable[[Metric], float | None]) -> list[Spot]:
    latest = {metric.round: metric for metric in metrics}  # a repeated round counts once, by its last attempt
    pairs = ((across(metric), metric.accuracy) for metric in latest.values())
    return [(x, y) for x, y in pairs if x is not None and y is not None]


def _accuracy(
    run: RunRecord,
    spots: Sequence[Spot],
    x_name: str,
    name: str,
    *,
    label: Callable[[float], str] | None = None,
    whole_numbers: bool = False,
    missed: Sequence[float] = (),
) -> str | None:
    if not spots:
        return None
    with style():
        figure, axes = blank(*PANEL)
        x, y = zip(*spots, strict=True)
        axes.plot(x, y, color=BLUE, marker="o" if len(spots) == 1 else None, clip_on=False, zorder=3)
        axes.plot(x[-1:], y[-1:], "o", color=BLUE, markersize=5, clip_on=False, zorder=3)
        axes.annotate(
            f"{y[-1]:.3f}",
            spots[-1],
            (0, 7),
            textcoords="offset points",
            ha="right",
            weight="bold",
            color=BLUE,
        )
        _accuracy_axis(axes, run)
        axes.set_xlabel(x_name)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=whole_numbers))
        if label:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: label(value)))
        axes.set_xlim(left=0)
        _mark_missed(axes, missed)
        return to_svg(figure, name, f"Test accuracy against {x_name}, at the end {y[-1]:.3f}")


def _accuracy_axis(axes: Axes, run: RunRecord) -> None:
    """The same vertical scale for all accuracy pictures of a run, with the majority class as the floor."""
    known = [metric.accuracy for metric in run.metrics if metric.accuracy is not None]
    lowest = min([*known, run.majority if run.majority is not None else 1.0])
    axes.set_ylim(max(0.0, int(lowest * 10) / 10 - 0.05), 1.0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if run.majority is not None:
        axes.axhline(run.majority, color=QUIET, linewidth=0.9, linestyle=(0, (3, 2)))
        axes.annotate(
            f"majority class {run.majority:.2f}",
            (1.0, run.majority),
            (0, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            color=QUIET,
            fontsize=8,
        )


def _mark_missed(axes: Axes, missed: Sequence[float]) -> None:
    if not missed:
        return
    floor = axes.get_ylim()[0]
    axes.plot(missed, [floor] * len(missed), "x", color=VERMILION, markersize=5, clip_on=False, zorder=4)


def _client_curves(rounds: Sequence[RoundRecord]) -> dict[str, list[Spot]]:
    curves: dict[str, list[Spot]] = {}
    for line in rounds:
        for client, loss in line.client_loss.items():
            curves.setdefault(client, []).append((float(line.round), loss))
    return curves
