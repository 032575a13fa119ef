"""How many rows a round needs: each rule's own bound, where excluded rows count against f.

A rule that bears f malicious rows needs so many rows R:

    trimmed_mean, median, geometric_median, centred_clipping, monna     R >= 2 f + 1
    krum, multi_krum                                                    R >= 2 f + 3
    bulyan                                                              R >= 4 f + 3
    fltrust                                                             R >= f + 1: one honest row
    mean                                                                R >= 1, and bears none

A row that the guard excludes is provably faulty and uses up one of the f: with e excluded, the rule is
sized for f - e and the R - e that remain must be enough for that. More than f excluded rows mean more
attackers than declared: the round is abandoned, and so is a round with too few rows. Steps before the rule
that leave fewer rows are counted: the rule's bound then holds for what they leave.

What this file does NOT do: count clients. One malicious client spoils its whole group, so f bounds
groups, and a group lost to dropouts is missing from R without using up any of f.

Reference: Yin et al. 2018 (trimmed mean); Blanchard et al. 2017 (Krum); El Mhamdi et al. 2018 (Bulyan).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from securefl.errors import ConfigError, RoundAbandoned
from securefl.robust.doors import RULES
from securefl.robust.mixing import Before

# Rows per malicious one, and rows beyond them.
_BOUNDS: Mapping[str, tuple[int, int]] = {
    "mean": (0, 1),
    "fltrust": (1, 1),
    "krum": (2, 3),
    "multi_krum": (2, 3),
    "bulyan": (4, 3),
}
_MAJORITY = (2, 1)


def remaining_trim(trim: int, excluded: int) -> int:
    """Malicious rows still to bear after `excluded` faulty rows were removed.

    Example:
        >>> remaining_trim(2, 1), remaining_trim(1, 3)
        (1, 0)
    """
    return max(0, trim - excluded)


def bound_of(rule: str) -> str:
    """The rule's bound on rows as text, e.g. `2 f + 3`.

    Raises:
        ConfigError: no rule has this name.
    """
    factor, beyond = _bound(rule)
    if factor == 0:
        return str(beyond)
    return f"{'' if factor == 1 else f'{factor} '}f + {beyond}"


def rows_needed(rule: str, trim: int, excluded: int = 0, before: Sequence[Before] = ()) -> int:
    """Rows that must remain after the exclusions, so that the rule bears `trim - excluded` malicious ones.

    Raises:
        ConfigError: no rule has this name.

    Example:
        >>> rows_needed("trimmed_mean", 1), rows_needed("median", 1, excluded=1), rows_needed("mean", 1)
        (3, 1, 1)
        >>> rows_needed("krum", 1), rows_needed("krum", 1, before=[Before("bucketing", 2)])
        (5, 9)
    """
    factor, beyond = _bound(rule)
    bear = remaining_trim(trim, excluded)
    needed = factor * bear + beyond
    for step in reversed(before):
        if step.name == "bucketing" and step.value is not None:
            needed = (needed - 1) * int(step.value) + 1
        elif step.name == "nearest_neighbours":
            needed = max(needed, 2 * bear + 1)
    return needed


def check_rows(rule: str, trim: int, released: int, excluded: int, before: Sequence[Before] = ()) -> None:
    """Return if a round with `released` rows, `excluded` of them removed, may be aggregated.

    Raises:
        RoundAbandoned: more rows are excluded than attackers were declared, or too few remain.
    """
    needed = rows_needed(rule, trim, excluded, before)
    if excluded > trim:
        raise RoundAbandoned(
            f"{excluded} rows are provably faulty and robust.max_malicious is {trim}: more attackers than "
            "declared; the model is unchanged"
        )
    if released - excluded < needed:
        raise RoundAbandoned(
            f"rule {rule} needs {needed} sound rows against {trim - excluded} more attackers, and "
            f"{released - excluded} of {released} remain; the model is unchanged"
        )


def _bound(rule: str) -> tuple[int, int]:
    if rule not in RULES:
        raise ConfigError(f"expected one of {', '.join(RULES)}, got {rule!r}", "robust.rule")
    return _BOUNDS.get(rule, _MAJORITY)
