"""The section on personal models: what every client trains for itself and never sends.

What this file does NOT do: train (`securefl.federation.personal`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from securefl.config.section import Positive, Section, Steps, doc


class _Compared(Section):
    """What all kinds have in common."""

    held_out: Annotated[
        float,
        Field(gt=0.0, lt=1.0),
        doc("Part of each client's examples that nothing trains on, to compare the models there.", 0.2),
    ] = 0.2


class _Personal(_Compared):
    """A model that has steps of its own. Batches are drawn as in `training`."""

    local_steps: Annotated[Steps, doc("SGD steps of the personal model.", 20, "steps")]
    learning_rate: Annotated[Positive, doc("Step size of the personal model.", 0.1)]


class FineTune(_Personal):
    """Once the rounds are over, every client trains the final model a little further."""

    kind: Annotated[Literal["fine_tune"], doc("Local steps from the final model.", "fine_tune")]


class Ditto(_Personal):
    """A second model of every client trains beside the shared one in every round, and is pulled to it."""

    kind: Annotated[Literal["ditto"], doc("A model of its own, pulled to the shared one.", "ditto")]
    pull: Annotated[
        Positive,
        doc("lambda: how strongly it is pulled to the shared model.", 0.1),
    ]


class OwnHalf(_Compared):
    """What model.lora.method fedsa leaves at its client of an adapter; it trains with the shared half."""

    kind: Annotated[Literal["private_half"], doc("The B of fedsa.", "private_half")]


Personalisation = Annotated[FineTune | Ditto | OwnHalf, Field(discriminator="kind")]
