"""The sections on what happens to updates: secure aggregation, server, simulation, engine."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from securefl.config.section import Count, Counts, Decay, Norm, Positive, Section, Steps, Whole, doc
from securefl.secagg import HYBRID, X25519, Shape, shape


class SecureAggregation(Section):
    """Masked sums inside groups. `group_size` is the dial between hiding updates and judging them."""

    masking: Annotated[
        bool, doc("Whether updates leave only under masks; off, the server sees each one.", True)
    ] = True
    group_size: Annotated[Count, doc("Clients per group, of which the server learns one sum.", 4, "clients")]
    threshold: Annotated[
        Count | None,
        doc(
            "Members that must answer to open a sum; 2 threshold > group_size + max_colluding. Left out "
            "above 64 members, where it follows from max_colluding and max_dropout.",
            3,
            "clients",
        ),
    ] = None
    max_colluding: Annotated[
        Whole, doc("Members of a group that may share what they see with the server.", 0, "clients")
    ] = 0
    max_dropout: Annotated[
        float | None,
        Field(ge=0.0, lt=1.0),
        doc(
            "Largest part of a group that may be missing from its sum; needed above 64 members, whose graph "
            "is sized for it. Left out: no bound but the threshold.",
            0.1,
            "fraction",
        ),
    ] = None
    key_agreement: Annotated[
        Literal["x25519", "x25519-mlkem768"],
        doc(
            "How two members agree on keys; x25519-mlkem768 also resists a quantum computer that reads "
            "recorded rounds later, for about 3 kB more per pair and round.",
            "x25519",
        ),
    ] = "x25519"
    clip_norm: Annotated[Norm, doc("L2 bound of one client's update.", 1.0)]
    bits: Annotated[int, Field(ge=4, le=32), doc("Resolution of one encoded coordinate.", 16, "bits")] = 16
    rotation: Annotated[
        bool,
        doc(
            "Rotates updates by a public seed before they are rounded, so that a few bits are enough; the "
            "vector is padded to a power of two.",
            True,
        ),
    ] = False
    subsample: Annotated[
        float | None,
        Field(gt=0.0, lt=1.0),
        doc(
            "Part of an update's coordinates that travels in a round, drawn by a public seed; what does not "
            "stays at the client and is added to its next update. Left out: all of them.",
            0.1,
            "fraction",
        ),
    ] = None
    epoch_rounds: Annotated[
        Count,
        doc("Rounds for which drawn groups stay fixed, so that sums cannot be differenced.", 10, "rounds"),
    ] = 10
    max_redraws: Annotated[
        Annotated[int, Field(ge=0, le=100)],
        doc("How often a draw of groups may be repeated when a client withholds its part.", 3, "draws"),
    ] = 3

    @property
    def dropout_bound(self) -> Fraction | None:
        """`max_dropout` as the exact decimal that was written."""
        return None if self.max_dropout is None else Fraction(str(self.max_dropout))

    @property
    def agreement(self) -> int:
        """The protocol's number for `key_agreement`."""
        return HYBRID if self.key_agreement == "x25519-mlkem768" else X25519

    def shape(self, members: int) -> Shape:
        """Holders, threshold and fewest survivors of a group of so many members.

        Raises:
            ConfigError: so many members cannot keep what is asked.
        """
        return shape(members, self.threshold, self.max_colluding, self.dropout_bound)


class Sgd(Section):
    """Plain server step; learning rate 1 without momentum is FedAvg."""

    kind: Annotated[Literal["sgd"], doc("Plain step; with learning rate 1, FedAvg.", "sgd")]
    learning_rate: Annotated[Positive, doc("The server's step size.", 1.0)] = 1.0
    momentum: Annotated[Decay, doc("Heavy-ball factor.", 0.0)] = 0.0


class Adaptive(Section):
    """FedAdam and FedYogi (Reddi et al. 2021, algorithm 2)."""

    kind: Annotated[Literal["adam", "yogi"], doc("Adaptive step per coordinate.", "yogi")]
    learning_rate: Annotated[Positive, doc("The server's step size; small, such as 0.03.", 0.03)]
    beta1: Annotated[Decay, doc("Decay of the first moment.", 0.9)] = 0.9
    beta2: Annotated[Decay, doc("Decay of the second moment.", 0.99)] = 0.99
    tau: Annotated[Positive, doc("Adaptivity, added to the root of the second moment.", 1e-3)] = 1e-3


Optimizer = Annotated[Sgd | Adaptive, Field(discriminator="kind")]


class UniformWeights(Section):
    """Every client counts the same."""

    kind: Annotated[Literal["uniform"], doc("Every client counts the same.", "uniform")]


class PublicWeights(Section):
    """Declared constants, one per client."""

    kind: Annotated[Literal["public"], doc("Declared constants, one per client.", "public")]
    values: Annotated[
        Counts, doc("One whole number per client; only their ratios count.", [1, 2, 3], "parts")
    ]


class ExampleWeights(Section):
    """The number of examples, in a masked coordinate. Data-set sizes are then not protected."""

    kind: Annotated[
        Literal["examples"], doc("Number of examples, masked; sizes are not protected.", "examples")
    ]
    cap: Annotated[int, Field(ge=1), doc("Public cap of one client's weight.", 200, "examples")]


Weights = Annotated[UniformWeights | PublicWeights | ExampleWeights, Field(discriminator="kind")]


class Server(Section):
    """What the server does with the aggregate of a round, and for how long."""

    rounds: Annotated[Steps, doc("Rounds of the run.", 30, "rounds")]
    optimizer: Annotated[Optimizer, doc("The server's step.", {"kind": "sgd", "learning_rate": 1.0})] = Sgd(
        kind="sgd"
    )
    weights: Annotated[Weights, doc("How much each client counts in its group.", {"kind": "uniform"})] = (
        UniformWeights(kind="uniform")
    )


class Simulation(Section):
    """What only a simulation has. Nothing here decides anything about learning."""

    dropout: Annotated[
        Decay,
        doc("Part of client-rounds that vanish, each at a random protocol step.", 0.1, "fraction"),
    ] = 0.0
    client_curves: Annotated[
        bool,
        doc("Whether the model is scored on every client's data after each round, for the report.", False),
    ] = False


class InProcess(Section):
    """All clients in this process."""

    kind: Annotated[Literal["in_process"], doc("All clients in this process.", "in_process")]


class Processes(Section):
    """Clients spread over worker processes of this machine; the results are the same."""

    kind: Annotated[Literal["processes"], doc("Clients in worker processes.", "processes")]
    workers: Annotated[Annotated[int, Field(ge=1, le=256)], doc("Worker processes.", 2, "processes")] = 2


Engine = Annotated[InProcess | Processes, Field(discriminator="kind")]
