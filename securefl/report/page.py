"""report.html: one file that holds a whole run and asks nobody for anything.

Rules kept here:
- Everything that comes from a file is escaped; the page has no script and a policy that allows none,
  no address of another host, and no font or picture that is not inside it.
- Nothing is claimed that the run did not record: the guarantee is the run's own card, word for word.
- A run that is not private says so above everything else. Per-client curves carry "simulation only".
- The page replaces an older one in one step, so a crash leaves the old page or the new one.

What this file does NOT do: read files (`record.py`) or draw (`plots.py`, `survivors.py`).
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from securefl import markup
from securefl.report import markdown, plots, survivors
from securefl.report.layout import CSS
from securefl.report.quantity import bytes_text, seconds_text
from securefl.report.record import GroupRecord, RoundRecord, RunRecord, read

FILE_NAME = "report.html"
_GOOD = frozenset({"done", "finished", "completed", "ok"})


def write(out: Path) -> Path:
    """Writes `out`/report.html from what the run in `out` recorded, finished or not.

    Raises:
        RunDirectoryError: `out` holds no run, or a file in it is damaged.
    """
    page = render(read(out))
    target = out / FILE_NAME
    handle, draft = tempfile.mkstemp(dir=out, prefix=".report-", suffix=".html")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        os.chmod(draft, 0o644)
        os.replace(draft, target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return target


def render(run: RunRecord) -> str:
    """The page of `run` as HTML text."""
    sections = [
        _header(run),
        _headline(run),
        _accuracy(run),
        _survivors(run),
        _time(run),
        _clip(run),
        _clients(run),
        _guarantee(run),
        _details(run),
    ]
    return markup.page(f"{run.name}: securefl run", CSS, "\n".join(sections))


def _header(run: RunRecord) -> str:
    tags = [_tag(run.status, "good" if run.status in _GOOD else "bad")]
    if run.simulated:
        tags.append(_tag("simulation", "note"))
    if run.data.get("synthetic") is True:
        tags.append(_tag("synthetic data", "bad"))
    banner = "" if run.private else _NOT_PRIVATE
    about = run.data.get("description")
    line = f"<p class=about>{escape(str(about))}</p>" if about else ""
    return f"{banner}<header><h1>{escape(run.name)}</h1><p class=tags>{''.join(tags)}</p>{line}</header>"


_NOT_PRIVATE = (
    "<p class=banner><strong>NOT PRIVATE.</strong> This run adds no noise, or its randomness can be "
    "replayed. Epsilon is infinite, and no number below is a statement about privacy.</p>"
)


def _tag(text: str, kind: str) -> str:
    return f'<span class="tag {kind}">{escape(text)}</span>'


def _headline(run: RunRecord) -> str:
    planned = run.rounds_planned
    rounds = f"{run.rounds_done} of {planned}" if planned is not None else str(run.rounds_done)
    tiles = [
        ("test accuracy", _or_dash(run.accuracy, ".3f"), _accuracy_note(run)),
        ("epsilon", *_epsilon(run)),
        ("rounds", rounds, _rounds_note(run)),
        ("sent per client and round", _maybe(run.bytes_per_round, bytes_text), _clients_note(run)),
        ("time", _maybe(run.seconds, seconds_text), "wall clock, all rounds"),
    ]
    cells = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd><p>{escape(note)}</p></div>"
        for name, value, note in tiles
    )
    said = run.privacy_statement if run.private else None
    statement = f"<p class=aside>{escape(said[:1].upper() + said[1:])}.</p>" if said else ""
    return f"<dl class=tiles>{''.join(cells)}</dl>{statement}"


def _accuracy_note(run: RunRecord) -> str:
    notes = []
    rows = run.data.get("test")
    if run.accuracy is not None and isinstance(rows, int) and rows > 0:
        error = math.sqrt(run.accuracy * (1 - run.accuracy) / rows) if 0 <= run.accuracy <= 1 else 0.0
        notes.append(f"± {error:.3f}, one standard error on {rows:,} rows")
    if run.majority is not None:
        notes.append(f"majority class {run.majority:.3f}")
    return "; ".join(notes) or "on the server's test set"


def _epsilon(run: RunRecord) -> tuple[str, str]:
    if not run.private:
        return "∞", "not private"
    if run.epsilon is None:
        return "∞", "no differential privacy" if run.metrics else "nothing was released"
    delta = f", delta {run.delta:g}".replace("e-0", "e-") if run.delta else ""
    unit = run.privacy_unit or "example"
    return f"{run.epsilon:.2f}", f"unit: {unit}{delta}; the most charged client, all rounds"


def _rounds_note(run: RunRecord) -> str:
    lost = len(run.abandoned)
    return "none abandoned" if not lost else f"{lost} abandoned, the model unchanged by them"


def _clients_note(run: RunRecord) -> str:
    parts = []
    if run.clients is not None:
        parts.append(f"{run.clients} clients")
    if run.groups is not None:
        parts.append(f"{run.groups} groups")
    if run.dropped is not None:
        parts.append(f"{run.dropped} dropouts")
    return ", ".join(parts)


def _accuracy(run: RunRecord) -> str:
    if not any(metric.accuracy is not None for metric in run.metrics):
        return _section("Accuracy on the server's test set", "<p>No round has been evaluated.</p>")
    by_epsilon = plots.accuracy_by_epsilon(run) if run.private else None
    crosses = "; × marks one that was abandoned" if run.abandoned else ""
    pictures = [
        (plots.accuracy_by_round(run), f"by round{crosses}"),
        (by_epsilon, "by privacy spent"),
        (plots.accuracy_by_bytes(run), "by traffic"),
    ]
    figures = "".join(_figure(svg, caption) for svg, caption in pictures if svg)
    note = "" if by_epsilon else "<p class=aside>No picture against epsilon: it is infinite throughout.</p>"
    return _section("Accuracy on the server's test set", f"<div class=panels>{figures}</div>{note}")


def _survivors(run: RunRecord) -> str:
    svg = survivors.survivors(run)
    if not svg:
        return _section("Who survived each round", "<p>No round has got as far as its groups.</p>")
    few = len(run.rounds) <= survivors.CELLS_WITH_DIGITS
    caption = "a digit counts the survivors of its group" if few else "groups above, clients below"
    key = (
        "<p class=key><i class=full></i>everybody in the sum <i class=part></i>some dropped out, sum exact "
        "<i class=aborted></i>– too few left, no sum <i class=excluded></i>excluded: N norm above the "
        "bound, ∞ not finite, W weights out of bounds <i class=gone></i>client gone before the sum "
        "<b class=cross>×</b>round abandoned</p>"
    )
    return _section("Who survived each round", key + _figure(svg, caption))


def _clip(run: RunRecord) -> str:
    """Nothing at all, unless the clip moves."""
    svg = plots.clip_by_round(run)
    caption = "public: it follows from noisy sums alone"
    return _section("The clip of each round", _figure(svg, caption)) if svg else ""


def _time(run: RunRecord) -> str:
    svg = plots.time_by_phase(run)
    if not svg:
        return _section("Where the time went", "<p>No time was recorded.</p>")
    return _section("Where the time went", _figure(svg, "seconds added up over the rounds"))


def _clients(run: RunRecord) -> str:
    """Per-client pictures: nothing at all, unless the run recorded them."""
    parts = []
    scores = plots.client_scores(run)
    if scores:
        parts.append(_figure(scores, "the final model on each client's own test rows"))
    losses = plots.client_losses(run)
    if losses:
        parts.append(_figure(losses, "training loss; grey: the other clients"))
    if run.held_out_scores:
        columns = ("model, on what clients held out", "accuracy, mean over clients", "worst tenth of clients")
        rows = [(one.model, f"{one.mean:.4f}", f"{one.worst:.4f}") for one in run.held_out_scores]
        parts.append(_table(columns, rows))
    if not parts:
        return ""
    note = "<p class=aside>In a deployment no server could draw this, and here it decided nothing.</p>"
    return _section("Client by client", _tag("simulation only", "note") + "".join(parts) + note)


def _guarantee(run: RunRecord) -> str:
    card = run.guarantee.strip()
    body = markdown.to_html(card) if card else "<p>This run directory holds no guarantee.md.</p>"
    return _section("What this run promises, and what it does not", f"<div class=card>{body}</div>")


def _details(run: RunRecord) -> str:
    parts = []
    if run.abandoned:
        lost = ((line.round, line.attempt, line.reason or "no reason recorded") for line in run.abandoned)
        parts.append(_fold("Abandoned rounds", _table(("round", "attempt", "why"), lost), unfolded=True))
    if run.rounds:
        parts.append(_fold("Every round", _table(_ROUND_COLUMNS, map(_round_row, run.rounds))))
    if run.metrics:
        rows = (
            (m.round, _or_dash(m.accuracy, ".4f"), _or_dash(m.loss, ".4f"), _or_dash(m.epsilon, ".3f"),
             _maybe(m.bytes_up, bytes_text))
            for m in run.metrics
        )  # fmt: skip
        parts.append(_fold("Every evaluation", _table(_METRIC_COLUMNS, rows)))
    if run.config:
        parts.append(_fold("Configuration, resolved", f"<pre>{escape(run.config)}</pre>"))
    parts.append(_fold("Versions, data and machine", _table(("what", "value"), _flat(run.manifest))))
    return _section("Details", "".join(parts))


_METRIC_COLUMNS = ("round", "test accuracy", "test loss", "epsilon", "sent per client, so far")
_ROUND_COLUMNS = ("round", "attempt", "status", "rows used", "survivors", "update norm", "groups not used")


def _round_row(line: RoundRecord) -> tuple[object, ...]:
    there = sum(len(group.survivors) for group in line.groups)
    asked = sum(len(group.members) for group in line.groups)
    unused = (_unused(group) for group in line.groups if group.status != "summed")
    rows_used = "–" if line.rows_used is None else line.rows_used
    norm = _or_dash(line.update_norm, ".4g")
    return line.round, line.attempt, line.status, rows_used, f"{there} of {asked}", norm, "; ".join(unused)


def _unused(group: GroupRecord) -> str:
    blamed = f" (to blame: {', '.join(map(str, group.blamed))})" if group.blamed else ""
    return f"group {group.group}: {group.failure or group.status.replace('_', ' ')}{blamed}"


def _flat(value: object, name: str = "") -> list[tuple[str, str]]:
    """Nested mappings as dotted names."""
    if not isinstance(value, dict):
        return [(name, str(value))]
    return [
        pair for key, inner in value.items() for pair in _flat(inner, f"{name}.{key}" if name else str(key))
    ]


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _fold(title: str, body: str, *, unfolded: bool = False) -> str:
    return f"<details{' open' if unfolded else ''}><summary>{escape(title)}</summary>{body}</details>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return markup.table(columns, ((escape(str(cell)) for cell in row) for row in rows))


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _maybe(value: float | None, text: Callable[[float], str]) -> str:
    return "–" if value is None else text(value)
