"""How many rows a round needs: R >= 2 b + 1, where excluded rows count against the trim.

With R released rows, at most f of them malicious, and a rule that trims b >= f rows per side, every
coordinate of the result lies inside the honest rows if R >= 2 b + 1. A row that the guard excludes is
provably faulty and uses up one of the b: with e excluded, b - e are trimmed from the R - e that remain,
and 2 (b - e) + 1 of them are needed. More than b excluded rows mean more attackers than declared: the
round is abandoned, and so is a round with too few rows.

What this file does NOT do: count clients. One malicious client spoils its whole group, so b bounds
groups, and a group lost to dropouts is missing from R without using up any trim.

Reference: Yin et al. 2018 (the trimmed share is at least the share of attackers).
"""

from __future__ import annotations

from securefl.errors import ConfigError, RoundAbandoned

RULES = ("mean", "trimmed_mean", "median")


def remaining_trim(trim: int, excluded: int) -> int:
    """Rows still to trim per side after `excluded` faulty rows were removed.

    Example:
        >>> remaining_trim(2, 1), remaining_trim(1, 3)
        (1, 0)
    """
    return max(0, trim - excluded)


def rows_needed(rule: str, trim: int, excluded: int = 0) -> int:
    """Rows that must remain after the exclusions: 1 for the mean, else 2 (trim - excluded) + 1.

    Raises:
        ConfigError: no rule has this name.

    Example:
        >>> rows_needed("trimmed_mean", 1), rows_needed("median", 1, excluded=1), rows_needed("mean", 1)
        (3, 1, 1)
    """
    if rule not in RULES:
        raise ConfigError(f"expected one of {', '.join(RULES)}, got {rule!r}", "robust.rule")
    return 1 if rule == "mean" else 2 * remaining_trim(trim, excluded) + 1


def check_rows(rule: str, trim: int, released: int, excluded: int) -> None:
    """Return if a round with `released` rows, `excluded` of them removed, may be aggregated.

    Raises:
        RoundAbandoned: more rows are excluded than attackers were declared, or too few remain.
    """
    needed = rows_needed(rule, trim, excluded)
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
