"""The sections on learning: data, participation, model, local training, privacy."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

from pydantic import Field

from securefl.config.section import (
    Count,
    Decay,
    Epsilon,
    Norm,
    NotNegative,
    Positive,
    Section,
    Steps,
    Whole,
    Widths,
    doc,
)


class Partition(Section):
    """Which training example sits at which client."""

    kind: Annotated[
        Literal["iid", "dirichlet", "column"],
        doc("iid: at random; dirichlet: skewed labels; column: the source's own clients.", "iid"),
    ]
    alpha: Annotated[
        Positive | None,
        doc("Dirichlet concentration: 100 is nearly iid, 0.1 gives clients of one or two classes.", 1.0),
    ] = None


class Data(Section):
    """The data and how it is shared out; the seed decides the split, publicly."""

    kind: Annotated[
        Literal[
            "digits",
            "fashion_mnist",
            "mnist_5k",
            "heart_disease",
            "newsgroups",
            "reuters_r8",
            "shakespeare",
            "dialogues",
            "csv",
            "npz",
            "jsonl",
        ],
        doc(
            "A built-in data set, or of your own: a table (csv), arrays (npz), prompts with answers (jsonl). "
            "newsgroups, reuters_r8, shakespeare, dialogues (synthetic) and jsonl are texts, for model.kind "
            "transformer.",
            "digits",
        ),
    ]
    path: Annotated[
        str | None,
        doc("Folder (fashion_mnist) or file (csv, npz, jsonl); relative to the config file.", "patients.csv"),
    ] = None
    label: Annotated[str | None, doc("Column (csv) or array (npz) of the labels.", "diagnosis")] = None
    client: Annotated[
        str | None, doc("Column (csv) or array (npz) that says which client a row belongs to.", "hospital")
    ] = None
    roles: Annotated[
        Count | None,
        doc("Clients, the roles with most to say (shakespeare); default: all with enough.", 8, "clients"),
    ] = None
    test_fraction: Annotated[
        float, Field(gt=0.0, lt=1.0), doc("Part held out for the server's test set.", 0.2, "fraction")
    ] = 0.2
    domain: Annotated[
        Literal["customer_service", "virtual_assistant", "education", "medical_booking"] | None,
        doc("What the clients' lives are about (dialogues).", "medical_booking"),
    ] = None
    train_per_client: Annotated[
        int | None,
        Field(ge=1, le=10_000),
        doc("Dialogues that a client learns from (dialogues).", 60, "dialogues"),
    ] = None
    test_per_client: Annotated[
        int | None,
        Field(ge=10, le=10_000),
        doc(
            "Held-out dialogues of a client; of ten, seven want a call and two fit no tool (dialogues).",
            20,
            "dialogues",
        ),
    ] = None
    partition: Annotated[Partition, doc("How training examples are shared out.", {"kind": "iid"})]


class AllParticipate(Section):
    """Every client takes part in every round."""

    kind: Annotated[Literal["all"], doc("Every client takes part in every round.", "all")]


class SampledCohort(Section):
    """A public cohort takes part, drawn anew per epoch. No privacy amplification is claimed for it."""

    kind: Annotated[Literal["sample"], doc("A cohort is drawn per epoch, publicly.", "sample")]
    cohort: Annotated[Count, doc("Clients in a round; at most all clients.", 20, "clients")]


Participation = Annotated[AllParticipate | SampledCohort, Field(discriminator="kind")]


class Lora(Section):
    """LoRA adapters on a frozen language model, and which of their factors are averaged."""

    method: Annotated[
        Literal["ffa", "rolora", "fed_sb", "fedit", "fedsa"],
        doc(
            "ffa: A frozen, B averaged; rolora: B and A in turn; fed_sb: a core between frozen factors; "
            "all three "
            "average the products exactly. fedit: both averaged apart, a biased baseline. fedsa: A averaged, "
            "B stays at its client.",
            "ffa",
        ),
    ] = "ffa"
    rank: Annotated[int, Field(ge=1, le=1024), doc("Inner width of an adapter.", 8)] = 8
    alpha: Annotated[Count, doc("The product is scaled by alpha / rank.", 16)] = 16
    targets: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,128}$")], ...],
        Field(strict=False, min_length=1, max_length=64),
        doc("Name endings of the linear layers that get one.", ["q_proj", "v_proj"]),
    ] = ("q_proj", "v_proj")


class Model(Section):
    """The model that is trained. Your own torch module comes in through Python."""

    kind: Annotated[
        Literal["linear", "mlp", "cnn", "transformer"],
        doc("linear: softmax regression; mlp; cnn for images; transformer: a language model.", "linear"),
    ]
    path: Annotated[
        str | None,
        Field(min_length=1, max_length=1024),
        doc(
            "Folder of the language model, hub id, package:NAME/FOLDER of an installed package, or "
            "tiny-llama, a "
            "random model for tests (transformer).",
            "models/minilm",
        ),
    ] = None
    gguf_file: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9_.-]{1,256}$"),
        doc("Name of a GGUF file in that folder; safetensors without it.", "model.Q4_1.gguf"),
    ] = None
    dtype: Annotated[
        Literal["float32", "bfloat16"], doc("Of the frozen base; adapters are float32.", "float32")
    ] = "float32"
    max_tokens: Annotated[
        int, Field(ge=2, le=8192), doc("Every text is cut or padded to it.", 128, "tokens")
    ] = 128
    pooling: Annotated[
        Literal["model", "mean"],
        doc(
            "How a classifier reads a text: as the architecture does, or the mean of all positions, which "
            "sentence "
            "encoders are made for (transformer).",
            "mean",
        ),
    ] = "model"
    lora: Annotated[
        Lora | None, doc("Adapters; without them the whole language model trains.", {"method": "ffa"})
    ] = None
    hidden: Annotated[
        Widths, doc("Widths of the hidden layers (mlp; optional for cnn).", [100], "units")
    ] = ()
    channels: Annotated[
        Widths,
        doc("Output channels of the convolutions, each halving the image (cnn).", [16, 32], "channels"),
    ] = ()


class Training(Section):
    """What one client does in one round. Public constants, the same for every client."""

    local_steps: Annotated[Steps, doc("SGD steps per client and round.", 5, "steps")]
    learning_rate: Annotated[Positive, doc("Step size of local SGD.", 0.5)]
    momentum: Annotated[Decay, doc("Classical momentum, started afresh every round.", 0.0)] = 0.0
    proximal: Annotated[NotNegative, doc("FedProx mu: pull towards the global model.", 0.0)] = 0.0
    sample_rate: Annotated[
        float,
        Field(gt=0.0, le=1.0),
        doc("Poisson rate: chance that a step's batch holds any one example.", 0.2, "probability"),
    ]
    expected_batch: Annotated[
        Positive,
        doc(
            "Declared public constant that the gradient sum is divided by; never the private number of "
            "examples. About sample_rate times a typical client's examples.",
            24,
            "examples",
        ),
    ]
    micro_batch: Annotated[
        Count | None,
        doc(
            "Most examples in memory at a time: a step's gradients are summed over pieces, at no cost in "
            "privacy.",
            8,
            "examples",
        ),
    ] = None
    gradient_checkpointing: Annotated[
        bool,
        doc(
            "Layers of a language model run again on the way back in place of keeping what they saw: less "
            "memory, more time. Not with privacy.unit example.",
            True,
        ),
    ] = False


class Promise(Section):
    """What differential privacy has in common for both units: the budget and where it is kept."""

    epsilon: Annotated[Epsilon, doc("Most that a client may spend over the whole run.", 8.0, "nats")]
    spare_releases: Annotated[
        Whole, doc("Rounds that may be played again after an abandoned one; in the noise.", 2, "releases")
    ] = 2
    budget: Annotated[
        Epsilon | None,
        doc("Cap of the ledger over all runs on this data; default: epsilon.", 8.0, "nats"),
    ] = None
    ledger: Annotated[
        str | None,
        doc(
            "File of a ledger that several runs share, relative to the config file; default: inside the run.",
            "ledger.sqlite",
        ),
    ] = None
    ledger_head: Annotated[
        str | None,
        Field(pattern=r"^[0-9a-f]{64}$"),
        doc(
            "Head that the shared ledger must contain, as `securefl ledger head` printed it after an earlier "
            "run; an older copy of the file is then refused.",
            "5eed" * 16,
        ),
    ] = None

    @property
    def cap(self) -> float:
        """The largest epsilon that the ledger lets a client reach, over all runs recorded in it."""
        return self.epsilon if self.budget is None else self.budget


class ExamplePrivacy(Promise):
    """Differential privacy for single training examples: local DP-SGD, charged over the whole run."""

    unit: Annotated[Literal["example"], doc("What is protected: one training example.", "example")]
    delta: Annotated[
        float,
        Field(gt=0.0, lt=1.0),
        doc("Chance at which epsilon may fail; below 1 / number of examples.", 1e-5, "probability"),
    ]
    clip_norm: Annotated[Norm, doc("L2 bound of one example's gradient; the noise is a multiple of it.", 1.0)]
    accountant: Annotated[Literal["pld", "rdp"], doc("pld is tight; rdp is a looser cross-check.", "pld")] = (
        "pld"
    )


class AdaptiveClipping(Section):
    """A clip that follows a quantile of the updates' norms, which noisy bits in the same sums tell."""

    quantile: Annotated[
        float,
        Field(gt=0.0, lt=1.0),
        doc("Part of the updates that shall be within the clip.", 0.5, "fraction"),
    ] = 0.5
    learning_rate: Annotated[
        float,
        Field(gt=0.0, le=5.0),
        doc("How far one round may move the clip, in its logarithm.", 0.2),
    ] = 0.2
    bit_share: Annotated[
        float,
        Field(ge=0.01, le=0.9),
        doc(
            "a: part of a vector's norm bound that the bit gets. Noise on updates is 1 / sqrt(1 - a^2) times "
            "as large, noise on what the bits tell falls as 1 / a.",
            0.2,
            "fraction",
        ),
    ] = 0.2


class ClientPrivacy(Promise):
    """Differential privacy for whole clients: noise on every sum of their updates.

    Updates are clipped to `secure_aggregation.clip_norm`, and the noise is derived from that bound; with
    `adaptive_clip` it is the clip of the first round, and noise is derived from the clip of each.
    """

    unit: Annotated[Literal["client"], doc("What is protected: one client, with all its examples.", "client")]
    noise: Annotated[
        Literal["distributed", "central"],
        doc(
            "distributed: every client adds a share, and the shares that a sum is guaranteed to have are "
            "enough; central: a server that is trusted with every sum adds the noise.",
            "distributed",
        ),
    ]
    trusted_server: Annotated[
        bool,
        doc(
            "Says that the server is trusted: nothing protects a client from it. Needed for noise 'central', "
            "and only for it.",
            True,
        ),
    ] = False
    delta: Annotated[
        float,
        Field(gt=0.0, lt=1.0),
        doc("Chance at which epsilon may fail; below 1 / number of clients.", 1e-5, "probability"),
    ]
    accountant: Annotated[Literal["rdp"], doc("The one with a bound for sums of noise shares.", "rdp")] = (
        "rdp"
    )

    adaptive_clip: Annotated[
        AdaptiveClipping | None,
        doc(
            "Moves the clip to a quantile of the updates' norms, starting at secure_aggregation.clip_norm; a "
            "start from below costs rounds only, from above its noise stays in the model.",
            {"quantile": 0.5},
        ),
    ] = None

    @property
    def clip_norm(self) -> None:
        """Gradients are not clipped: the whole update is, at the end."""


class NoPrivacy(Section):
    """No differential privacy: a baseline. Updates can reveal single training examples."""

    unit: Annotated[Literal["none"], doc("No differential privacy; epsilon is infinite.", "none")]
    spare_releases: Annotated[
        Whole, doc("Rounds that may be played again after an abandoned one.", 2, "releases")
    ] = 2

    @property
    def epsilon(self) -> None:
        """Nothing is promised."""

    @property
    def delta(self) -> None:
        """Nothing is promised."""

    @property
    def clip_norm(self) -> None:
        """Gradients are not clipped."""

    @property
    def ledger(self) -> None:
        """Nothing is charged, so nothing is shared."""

    @property
    def ledger_head(self) -> None:
        """Nothing is charged, so nothing is pinned."""

    @property
    def cap(self) -> float:
        """Without a promise there is no cap."""
        return inf

    @property
    def accountant(self) -> Literal["pld"]:
        """The default accountant; it has nothing to count."""
        return "pld"


Privacy = Annotated[ExamplePrivacy | ClientPrivacy | NoPrivacy, Field(discriminator="unit")]
