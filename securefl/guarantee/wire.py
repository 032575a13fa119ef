"""What of a client's update travels, how it is encoded, and how many bytes that is.

Rules kept here: the run, the guarantee card and `securefl budget` all read these numbers; nobody has others.

What this file does NOT do: train, or import torch, but for a language model, whose adapters it counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import ceil

import numpy as np

from securefl.config import Config
from securefl.config.consistency import largest_weight
from securefl.data import Dataset
from securefl.data.examples import Task
from securefl.encoding import Encoding, FixedPoint, Subsample
from securefl.federation.rehearsal import Grouping, Traffic, rehearse
from securefl.guarantee.noisy_sum import noisy_sum
from securefl.privacy.events import DistributedDiscreteGaussian
from securefl.training.lora import LoraSpec, TransformerSpec, place_of
from securefl.training.shapes import ModelSpec, parameter_count
from securefl.training.turns import Turns


@dataclass(frozen=True)
class Wire:
    """What travels in every round of a run.

    Attributes:
        dim: parameters that train.
        turns: who trains when; None where all do in every round.
        subsample: which trained parameters travel in which round; None where all do.
        encoding: how updates become ring words.
        event: what one vector costs where the encoding adds noise; None where it adds none.
    """

    dim: int
    turns: Turns | None
    subsample: Subsample | None
    encoding: Encoding
    event: DistributedDiscreteGaussian | None


def wire(config: Config, dataset: Dataset, dim: int | None = None) -> Wire:
    """What travels under a config.

    Args:
        config: the validated config.
        dataset: the data it names, or the caller's own: for the model's inputs and outputs.
        dim: parameters of the caller's own module; computed from the config's model if None.

    Raises:
        ConfigError: a model that does not fit the data, or noise that does not fit the resolution.
        BudgetExceeded: no noise is enough for epsilon.
    """
    turns = None
    if dim is None:
        dim, turns = _layout(config, dataset)
    sample = _subsample(config, dim, turns)
    length = sample.count if sample is not None else dim if turns is None else turns.length
    if config.privacy.unit == "client":
        return Wire(dim, turns, sample, *noisy_sum(config, config.privacy, length))
    return Wire(dim, turns, sample, _plain(config, length), None)


def traffic(config: Config, travels: Wire) -> Traffic:
    """Bytes per client and round, measured by playing one group of the real protocol."""
    secagg = config.secure_aggregation
    return rehearse(
        travels.encoding,
        Grouping(
            members=travels.encoding.members,
            threshold=secagg.threshold,
            colluding=secagg.max_colluding,
            max_dropout=secagg.dropout_bound,
            agreement=secagg.agreement,
            masking=secagg.masking,
            epoch_rounds=secagg.epoch_rounds,
        ),
        config.cohort_size,
        travels.dim,
    )


def traffic_sentence(config: Config, counted: Traffic) -> str:
    """What a client sends and receives, for the card and for `securefl budget`."""
    larger = counted.measured_members != config.largest_group
    return (
        f"Each client sends {counted.up:,} bytes per round ({counted.vector:,} of them the vector) and "
        f"receives {counted.down:,} ({counted.model:,} of them the model); the draw of groups comes on top, "
        "once per epoch."
    ) + (
        f" Measured in a group of {counted.measured_members}; a larger one costs more by its logarithm."
        if larger
        else ""
    )


def model_spec(config: Config, task: Task) -> ModelSpec | TransformerSpec:
    """The model section as the training layer reads it, for what the data give to learn."""
    model = config.model
    if model.kind == "transformer":
        lora = model.lora
        adapters = None if lora is None else LoraSpec(lora.method, lora.rank, lora.alpha, tuple(lora.targets))
        return TransformerSpec(
            place_of(str(model.path)), model.gguf_file, model.dtype, adapters, task, model.pooling
        )
    return ModelSpec(model.kind, tuple(model.hidden), tuple(model.channels))


def _layout(config: Config, dataset: Dataset) -> tuple[int, Turns | None]:
    """Parameters that train, and who trains when."""
    spec = model_spec(config, dataset.task)
    if isinstance(spec, ModelSpec):
        return parameter_count(spec, dataset.shape, dataset.classes), None
    from securefl.training import layout

    return layout(spec, dataset.classes)


def _subsample(config: Config, dim: int, turns: Turns | None) -> Subsample | None:
    fraction = config.secure_aggregation.subsample
    if fraction is None:
        return None
    parts = (np.arange(dim),) if turns is None else turns.places
    count = ceil(fraction * max(len(part) for part in parts))
    return Subsample(_public_seed(config, b"subsample"), count, parts)


def _plain(config: Config, dim: int) -> FixedPoint:
    secagg = config.secure_aggregation
    return FixedPoint(
        clip_norm=secagg.clip_norm,
        bits=secagg.bits,
        dim=dim,
        members=config.largest_group,
        cap=largest_weight(config),
        weighted=config.server.weights.kind == "examples",
        rotation=_public_seed(config, b"rotation") if secagg.rotation else None,
    )


def _public_seed(config: Config, use: bytes) -> bytes:
    return hashlib.sha256(b"securefl " + use + b" " + config.seed.to_bytes(8, "big")).digest()
