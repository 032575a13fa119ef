"""What the chosen rule bears, in plain sentences for the card.

Rules kept here: every number follows from the rule's own bound and the number of groups; each sentence is the
guarantee in the rule's docstring, which its tests check.

What this file does NOT do: claim accuracy. Staying near honest updates is not the same as learning well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

from securefl.config import Config
from securefl.robust import CLIPPING_STEPS, rows_after, rows_needed


def bears(config: Config) -> str:
    """One sentence: what holds for the update with at most f malicious clients and enough groups."""
    robust, steps = config.robust, config.robust.steps
    needed = rows_needed(robust.rule, robust.max_malicious, before=steps)
    what = _BEARS[robust.rule](rows_after(steps, config.groups), robust.max_malicious)
    return (
        f"Rule: {robust.rule} over {config.groups} group means{steps_text(config)}. With at most f = "
        f"{robust.max_malicious} malicious clients and at least {needed} finished groups "
        f"{what.format(rows=_rows(config))}."
    )


def at_the_limit(config: Config) -> str | None:
    """What it means that the groups are the fewest that the rule needs; None if there are more."""
    robust = config.robust
    if config.groups != rows_needed(robust.rule, robust.max_malicious, before=robust.steps):
        return None
    trimmed = robust.rule in ("trimmed_mean", "median") and not robust.before
    bare = "the rule is then the bare median, " if trimmed else ""
    return (
        f"{config.groups} groups are the least that f = {robust.max_malicious} needs: {bare}one group "
        "lost to dropouts abandons the round, and one attacker more than declared may steer the model."
    )


def steps_text(config: Config) -> str:
    """The steps before the rule, as ` after ...`; nothing if there are none."""
    names = {
        "clipping": "clipping to norm {0:g}",
        "quantile_clipping": "clipping to the {0:g} quantile of the norms",
        "bucketing": "bucketing by {0:g}",
        "nearest_neighbours": "nearest-neighbour mixing",
    }
    steps = [names[step.name].format(step.value) for step in config.robust.steps]
    return f" after {', then '.join(steps)}" if steps else ""


def _rows(config: Config) -> str:
    names = {step.name for step in config.robust.steps}
    if not names:
        return "the honest group means"
    mixed = " (a malicious one near them may be mixed in)" if "nearest_neighbours" in names else ""
    return f"the rows that the steps make of honest group means{mixed}"


def _envelope(rows: int, f: int) -> str:
    return "every coordinate of the update stays within {rows}"


def _geometric_median(rows: int, f: int) -> str:
    factor = 2 * (rows - f) / (rows - 2 * f)
    return (
        f"the update is no further from any point than {factor:.3g} times the furthest of {{rows}} is "
        "(with all groups finished)"
    )


def _centred_clipping(rows: int, f: int) -> str:
    return (
        f"malicious rows move the update, in each of {CLIPPING_STEPS} steps, by no more than {f / rows:.3g} "
        "times its distance from the furthest of {rows} (with all groups finished)"
    )


def _near_one(rows: int, f: int) -> str:
    factor = sqrt((rows - f - 2) / (rows - 2 * f - 1))
    return f"within {factor:.3g} times the diameter of {{rows}} of one of them (with all groups finished)"


def _krum(rows: int, f: int) -> str:
    return f"the update is a single row, which lies {_near_one(rows, f)}"


def _multi_krum(rows: int, f: int) -> str:
    return f"the update is a mean of rows that each lie {_near_one(rows, f)}"


def _bulyan(rows: int, f: int) -> str:
    widened = "widened on both sides by its own width"
    return f"every coordinate of the update stays within the range of {{rows}}, {widened}"


_BEARS: Mapping[str, Callable[[int, int], str]] = {
    "trimmed_mean": _envelope,
    "median": _envelope,
    "geometric_median": _geometric_median,
    "centred_clipping": _centred_clipping,
    "krum": _krum,
    "multi_krum": _multi_krum,
    "bulyan": _bulyan,
}
