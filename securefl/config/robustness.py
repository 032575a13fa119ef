"""The section on rules, and its checks: can the rule bear f among so many groups, does each step do anything?

Rules kept here:
- The bounds are `securefl.robust`'s own.
- A refusal names the nearest choice that is sound for the same clients.

What this file does NOT do: bound a malicious client under rule 'mean'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from securefl.config.section import Norm, Section, Whole, doc
from securefl.errors import ConfigError
from securefl.robust import Before, bound_of, rows_needed

if TYPE_CHECKING:
    from securefl.config.root import Config


class Clipping(Section):
    """Rows above a norm are shortened to it."""

    kind: Annotated[Literal["clipping"], doc("Rows above a norm are shortened to it.", "clipping")]
    norm: Annotated[Norm, doc("The L2 norm that no row passes.", 0.5)]

    @property
    def step(self) -> Before:
        """The step by name."""
        return Before(self.kind, self.norm)


class QuantileClipping(Section):
    """Rows are shortened to a quantile of this round's norms."""

    kind: Annotated[
        Literal["quantile_clipping"],
        doc("Rows are shortened to a quantile of their norms.", "quantile_clipping"),
    ]
    quantile: Annotated[
        float, Field(ge=0.0, lt=1.0), doc("Which norm is the bound: 0.5 is the median.", 0.5, "fraction")
    ]

    @property
    def step(self) -> Before:
        """The step by name."""
        return Before(self.kind, self.quantile)


class Bucketing(Section):
    """Rows are shuffled and averaged in buckets."""

    kind: Annotated[Literal["bucketing"], doc("Rows are shuffled and averaged in buckets.", "bucketing")]
    size: Annotated[int, Field(ge=2, le=10**6), doc("Rows in a bucket.", 2, "rows")]

    @property
    def step(self) -> Before:
        """The step by name."""
        return Before(self.kind, self.size)


class NearestNeighbours(Section):
    """Each row becomes the mean of the rows nearest to it, f of them left out."""

    kind: Annotated[
        Literal["nearest_neighbours"], doc("Each row becomes the mean of its nearest.", "nearest_neighbours")
    ]

    @property
    def step(self) -> Before:
        """The step by name."""
        return Before(self.kind)


Step = Annotated[Clipping | QuantileClipping | Bucketing | NearestNeighbours, Field(discriminator="kind")]


class Robust(Section):
    """What is done with the group means against malicious clients."""

    rule: Annotated[
        Literal[
            "mean",
            "trimmed_mean",
            "median",
            "geometric_median",
            "centred_clipping",
            "krum",
            "multi_krum",
            "bulyan",
        ],
        doc("How group means become one update; mean bounds no malicious client.", "trimmed_mean"),
    ]
    max_malicious: Annotated[
        Whole,
        doc(
            "f: malicious clients to survive; 2 f + 1 groups at least, krum and multi_krum 2 f + 3, bulyan "
            "4 f + 3.",
            1,
            "clients",
        ),
    ]
    before: Annotated[
        tuple[Step, ...],
        Field(strict=False, max_length=4),
        doc("What is done to the group means before the rule, in order.", [{"kind": "nearest_neighbours"}]),
    ] = ()
    norm_guard: Annotated[
        bool, doc("Whether group means longer than honest ones can be are excluded.", True)
    ] = True

    @property
    def steps(self) -> tuple[Before, ...]:
        """The steps before the rule, by name."""
        return tuple(one.step for one in self.before)


def check_robust(config: Config) -> None:
    """Return if the rule can do its work on the groups of this config.

    Raises:
        ConfigError: too few groups for the rule and f, or a step that does nothing.
    """
    _check_groups(config)
    for place, step in enumerate(config.robust.before):
        _check_step(config, step, f"robust.before.{place}")


def _check_groups(config: Config) -> None:
    robust = config.robust
    needed = rows_needed(robust.rule, robust.max_malicious, before=robust.steps)
    if config.groups < needed:
        raise ConfigError(
            f"expected {_bound(robust)} = {needed} groups or more for {robust.rule}, f = "
            f"{robust.max_malicious} malicious clients, got {config.groups} ({config.cohort_size} clients in "
            f"groups of {config.secure_aggregation.group_size}); make the groups smaller{_choices(config)}",
            "robust.max_malicious",
        )
    if robust.rule == "mean" and robust.max_malicious >= config.groups:
        raise ConfigError(
            f"expected fewer than the {config.groups} groups, got {robust.max_malicious}; rule 'mean' "
            "survives only groups that the norm guard excludes, and one must remain. Lower it",
            "robust.max_malicious",
        )


def _bound(robust: Robust) -> str:
    """The rule's own bound as text; with steps that ask for more, what they ask for it."""
    plain = bound_of(robust.rule)
    if rows_needed(robust.rule, robust.max_malicious) == rows_needed(
        robust.rule, robust.max_malicious, before=robust.steps
    ):
        return plain
    return f"{plain} rows behind {' and '.join(step.name for step in robust.steps)}"


def _choices(config: Config) -> str:
    """What else would do for these groups, the nearest first."""
    robust, groups = config.robust, config.groups
    found = []
    if robust.steps and rows_needed(robust.rule, robust.max_malicious) <= groups:
        found.append("leave out robust.before")
    needed = rows_needed("geometric_median", robust.max_malicious, before=robust.steps)
    if needed <= groups:
        found.append(f"use geometric_median or trimmed_mean, for which {needed} are enough")
    lower = [f for f in range(1, robust.max_malicious) if _fits(robust, f, groups)]
    found.append(f"lower f to {lower[-1]}" if lower else "lower f")
    found.append("use rule 'mean' with max_malicious 0, which bounds no malicious client")
    return "".join(f", {choice}" for choice in found[:-1]) + f", or {found[-1]}"


def _fits(robust: Robust, max_malicious: int, groups: int) -> bool:
    return rows_needed(robust.rule, max_malicious, before=robust.steps) <= groups


def _check_step(config: Config, step: Step, path: str) -> None:
    robust, clip_norm = config.robust, config.secure_aggregation.clip_norm
    guarded = robust.norm_guard and config.privacy.unit != "client"  # with noise, honest rows may be longer
    if step.kind == "clipping" and guarded and step.norm >= clip_norm:
        raise ConfigError(
            f"expected a norm below secure_aggregation.clip_norm = {clip_norm:g}, got {step.norm:g}; the "
            "norm guard already excludes what is longer, so this clips nothing. Lower it or remove the step",
            f"{path}.norm",
        )
    if (
        step.kind == "clipping"
        and config.privacy.unit == "client"
        and config.privacy.adaptive_clip is not None
    ):
        raise ConfigError(
            f"expected no fixed norm beside privacy.adaptive_clip, got {step.norm:g}; the clip of updates "
            "moves away from it. Use quantile_clipping, which has none, or remove one of the two",
            f"{path}.norm",
        )
    if step.kind == "nearest_neighbours" and robust.max_malicious == 0:
        raise ConfigError(
            "expected max_malicious of at least 1 with nearest_neighbours, got 0; with nobody to leave out "
            "every row becomes the mean. Raise f or remove the step",
            path,
        )
    if step.kind == "bucketing" and robust.rule == "mean":
        raise ConfigError(
            "expected a robust rule behind bucketing, got 'mean'; the mean of bucket means is a mean again. "
            "Remove the step, or use geometric_median or trimmed_mean",
            path,
        )
