"""`securefl audit`: a lower bound on epsilon from what a client really releases, beside the upper bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from securefl.cli import output
from securefl.cli.arguments import ConfigFile, Json, Overrides
from securefl.cli.progress import progress_bar

if TYPE_CHECKING:
    from securefl.audit import Audit, LowerBound


def audit(
    config: ConfigFile,
    overrides: Overrides = None,
    draws: Annotated[
        int, typer.Option(min=5, max=10_000_000, help="Releases per world; more draws, a higher bound.")
    ] = 2000,
    confidence: Annotated[
        float,
        typer.Option(help="That no alarm is false; for a table of N audits 1 - 1e-4 / N is usual."),
    ] = 0.99,
    as_json: Json = False,
) -> None:
    """Release one client's update of CONFIG again and again, with and without one example; tell them apart.

    Prints the lower bound on epsilon that follows beside the accountant's upper bound. Exit code 1 if they
    cross: the mechanism then leaks more than is accounted for. Trains on the config's data, writes nothing
    and charges nothing, because nothing leaves.
    """
    with output.told(as_json):
        from securefl import config as configuration
        from securefl.audit import audit as run
        from securefl.audit import example_subject
        from securefl.build import load_dataset
        from securefl.crypto import SystemRandomness
        from securefl.guarantee import settle
        from securefl.training import limit_threads

        settled = configuration.load(config, overrides or ())
        limit_threads(1)
        subject = example_subject(settle(settled, load_dataset(settled)), SystemRandomness())
        with progress_bar("draw") as progress:
            found = run(subject, draws, confidence, progress)
        if as_json:
            output.print_json(as_dict(found))
        else:
            _print(found)
        if found.refuted:
            raise output.fail(
                "The lower bound lies above what the accountant claims: this mechanism leaks more than is "
                f"accounted for, or a false alarm of probability {1 - confidence:.2g} struck. Release "
                "nothing with it."
            )


def as_dict(found: Audit) -> dict[str, object]:
    """Everything that was found, as plain values."""
    return {
        "unit": found.unit,
        "delta": found.lower.delta,
        "confidence": found.confidence,
        "samples": found.lower.samples,
        "refuted": found.refuted,
        "release": {
            "upper": found.upper,
            "lower": _bound(found.lower),
            "lower_without_assumption": _bound(found.lower_any),
        },
        "run": {"upper": found.upper_run, "lower": found.lower_run, "assumes": _ALIKE},
    }


_ALIKE = "every release is like the audited ones"
_READING = (
    f"The second assumes nothing, and that of a run that {_ALIKE}. At most:\nby the accountant. Ceiling: "
    "what this audit would say of a mechanism that hides nothing. A low lower bound\ndoes not show that "
    "little leaks."
)


def _bound(found: LowerBound) -> dict[str, object]:
    return {"epsilon": found.epsilon, "ceiling": found.ceiling, "assumes": found.assumes}


def _print(found: Audit) -> None:
    rows = [
        _row("one release", found.lower, found.upper),
        _row("one release, no assumption", found.lower_any, found.upper),
        ("a whole run", f"{found.lower_run:.3f}", f"{found.upper_run:.3f}", ""),
    ]
    output.print_table(
        f"Epsilon at delta {found.lower.delta:g} for {found.unit}",
        ("", "at least (audit)", "at most", "ceiling"),
        rows,
    )
    output.print_text(
        f"{found.lower.samples} draws in two worlds, confidence {found.confidence:.7g} over all of it. The "
        f"first lower bound\nassumes {found.lower.assumes}: the claim under test.\n{_READING}"
    )


def _row(name: str, found: LowerBound, upper: float) -> tuple[str, str, str, str]:
    return name, f"{found.epsilon:.3f}", f"{upper:.3f}", f"{found.ceiling:.3f}"
