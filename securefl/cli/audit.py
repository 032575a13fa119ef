"""`securefl audit`: a lower bound on epsilon from what is really released, beside the upper bound."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from securefl.cli import output
from securefl.cli.arguments import ConfigFile, Json, Overrides
from securefl.cli.progress import progress_bar

if TYPE_CHECKING:
    from securefl.audit import Audit, LowerBound

_LARGEST = 10_000_000
_WIDTH = 100


def audit(
    config: ConfigFile,
    overrides: Overrides = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="two-world|one-run|one-shot",
            help="two-world: the sharpest; one-run: unit example, about a whole run; one-shot: unit client, "
            "also estimates.",
        ),
    ] = "two-world",
    draws: Annotated[
        int | None,
        typer.Option(
            min=5,
            max=_LARGEST,
            help="For two-world: releases per world; more draws, a higher bound. Default 2000.",
        ),
    ] = None,
    canaries: Annotated[
        int | None,
        typer.Option(
            min=5,
            max=_LARGEST,
            help="For one-run (examples, default 200) and one-shot (clients, default 1000).",
        ),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(help="That no alarm is false; for a table of N audits 1 - 1e-4 / N is usual."),
    ] = 0.99,
    as_json: Json = False,
) -> None:
    """Attack the releases of CONFIG and say what epsilon is at least, beside the accountant's at most.

    Releases are drawn by the run's own clip, noise and encoding.

    two-world: one release again and again, with and without one record, told apart by a threshold. The
    record is an example (one client's encoded update), or a whole client (one group's sum less what colluders
    know, with the fewest honest shares of noise).

    one-run: a client plays its whole run on canary examples, of which coins put half in; how many are guessed
    right bounds the run's epsilon. One run is enough, and the bound is lower.

    one-shot: all honest members of a sum are canary clients that send random directions. Gives an estimate
    of epsilon too, which is no bound.

    The ceiling is what this audit would say of a mechanism that hides nothing: raise --draws or --canaries if
    it lies below the upper bound. Exit code 1 if the bounds cross: the mechanism then leaks more than is
    accounted for. Trains on the config's data, writes nothing and charges nothing, because nothing leaves.
    """
    with output.told(as_json):
        from securefl import config as configuration
        from securefl.audit.methods import audited, method_for
        from securefl.building import load_dataset
        from securefl.crypto import SystemRandomness
        from securefl.guarantee import settle
        from securefl.training import limit_threads

        settled = configuration.load(config, overrides or ())
        chosen = method_for(method, settled.privacy.unit)
        size = chosen.sized_by(draws=draws, canaries=canaries)
        limit_threads(1)
        terms = settle(settled, load_dataset(settled))
        with progress_bar("draw") as progress:
            found = audited(terms, method, size, confidence, SystemRandomness(), progress)
        if as_json:
            output.print_json({"method": method, **as_dict(found)})
        else:
            _print(found, method)
        if found.refuted:
            raise output.fail(
                "The lower bound lies above what the accountant claims: this mechanism leaks more than is "
                f"accounted for, or a false alarm of probability {1 - confidence:.2g} struck. Release "
                "nothing with it."
            )


def as_dict(found: Audit) -> dict[str, object]:
    """Everything that was found, as plain values."""
    direct, other = ("run", "release") if found.whole_run else ("release", "run")
    upper = {"release": found.claim.upper, "run": found.claim.upper_run}
    derived = found.lower_one if found.whole_run else found.lower_run
    return {
        "unit": found.claim.unit,
        "delta": found.lower.delta,
        "confidence": found.confidence,
        "samples": found.lower.samples,
        "sampled": found.sampled,
        "refuted": found.refuted,
        direct: {
            "upper": upper[direct],
            "lower": _bound(found.lower),
            "lower_without_assumption": _bound(found.lower_any),
        },
        other: {"upper": upper[other], "lower": derived, "assumes": _ALIKE},
        "estimate": found.estimate,
    }


_ALIKE = "every release is like the audited ones"
_RELEASE, _RUN = "one release", "a whole run"
_READING = (
    "At most: by the accountant. Ceiling: what this audit would say of a mechanism that hides nothing. A "
    "low lower bound does not show that little leaks."
)


def _bound(found: LowerBound) -> dict[str, object]:
    return {"epsilon": found.epsilon, "ceiling": found.ceiling, "assumes": found.assumes}


def _print(found: Audit, method: str) -> None:
    direct = _RUN if found.whole_run else _RELEASE
    other = (
        (_RELEASE, f"{found.lower_one:.3f}", f"{found.claim.upper:.3f}", "")
        if found.whole_run
        else (_RUN, f"{found.lower_run:.3f}", f"{found.claim.upper_run:.3f}", "")
    )
    output.print_table(
        f"Epsilon at delta {found.lower.delta:g} for {found.claim.unit}, {method} audit",
        ("", "at least (audit)", "at most", "ceiling"),
        [
            _row(direct, found.lower, found.upper),
            _row(f"{direct}, no assumption", found.lower_any, found.upper),
            other,
        ],
    )
    reading = (
        f"{found.sampled}; confidence {found.confidence:.10g} over all of it. The first lower bound assumes "
        f"{found.lower.assumes}: the claim under test. The second assumes nothing, and the third that "
        f"{_ALIKE}. {_READING}"
    )
    output.print_text(textwrap.fill(reading, _WIDTH))
    if found.estimate is not None:
        output.print_text(f"Estimate of one release, which is no bound: epsilon {found.estimate:.3f}.")


def _row(name: str, found: LowerBound, upper: float) -> tuple[str, str, str, str]:
    return name, f"{found.epsilon:.3f}", f"{upper:.3f}", f"{found.ceiling:.3f}"
