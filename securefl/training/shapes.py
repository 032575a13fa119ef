"""Which model the configuration names, and how many parameters it has, without torch.

Rules kept here:
- Every model is per-example: no layer mixes the examples of a batch, so no batch norm.
- `parameter_count` equals the length of the flat vector of `securefl.training.models.build_model`.

What this file does NOT do: build the model (`securefl.training.models`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from securefl.errors import ConfigError

KERNEL = 3
POOL = 2
MAX_PARAMETERS = 10**8
"""A client and the server hold a few vectors of this length as float64, 0.8 GB each."""


@dataclass(frozen=True)
class ModelSpec:
    """A model family and its widths.

    Attributes:
        kind: `linear` (softmax regression), `mlp` or `cnn`.
        hidden: widths of the fully connected hidden layers; needed by `mlp`, optional for `cnn`.
        channels: output channels of the convolutions, each followed by a 2 x 2 maximum; `cnn` only.
    """

    kind: str
    hidden: tuple[int, ...] = ()
    channels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("linear", "mlp", "cnn"):
            raise ConfigError(f"expected linear, mlp or cnn, got {self.kind!r}", "model.kind")
        _check_widths("model.hidden", self.hidden, needed=self.kind == "mlp", allowed=self.kind != "linear")
        _check_widths("model.channels", self.channels, needed=self.kind == "cnn", allowed=self.kind == "cnn")


def parameter_count(spec: ModelSpec, input_shape: Sequence[int], classes: int) -> int:
    """Number of trainable parameters, which is the length of the flat vector.

    Example:
        >>> parameter_count(ModelSpec("linear"), (64,), 10)
        650

    Raises:
        ConfigError: a model that does not fit the data, or is too large.
    """
    count = _count(spec, input_shape, classes)
    if count > MAX_PARAMETERS:
        raise ConfigError(
            f"expected at most {MAX_PARAMETERS:,} parameters, got {count:,} on examples of shape "
            f"{tuple(input_shape)}; make the layers narrower",
            "model",
        )
    return count


def dense_widths(spec: ModelSpec, input_shape: Sequence[int], classes: int) -> tuple[int, ...]:
    """Widths of the fully connected part, input and output included."""
    if not input_shape or min(input_shape) < 1:
        raise ConfigError(
            f"expected examples with at least one feature, got the shape {input_shape}", "model"
        )
    if classes < 2:
        raise ConfigError(f"expected at least 2 classes, the data has {classes}", "model")
    if spec.kind != "cnn":
        return (prod(input_shape), *spec.hidden, classes)
    _, height, width = image_shape(spec, input_shape)
    shrunk = POOL ** len(spec.channels)
    return (spec.channels[-1] * (height // shrunk) * (width // shrunk), *spec.hidden, classes)


def image_shape(spec: ModelSpec, input_shape: Sequence[int]) -> tuple[int, int, int]:
    """Channels, height and width of the images that a cnn reads; (height, width) means one channel."""
    if len(input_shape) not in (2, 3):
        raise ConfigError(
            f"a cnn reads images of shape (height, width) or (channels, height, width), the data has "
            f"{tuple(input_shape)}; use linear or mlp",
            "model.kind",
        )
    channels, height, width = (1, *input_shape)[-3:]
    if min(height, width) < POOL ** len(spec.channels):
        raise ConfigError(
            f"{len(spec.channels)} layers halve the image each, but it has {height} x {width} pixels; "
            "name fewer channels",
            "model.channels",
        )
    return channels, height, width


def _count(spec: ModelSpec, input_shape: Sequence[int], classes: int) -> int:
    dense = sum(
        (fan_in + 1) * fan_out for fan_in, fan_out in pairwise(dense_widths(spec, input_shape, classes))
    )
    if spec.kind != "cnn":
        return dense
    planes = (image_shape(spec, input_shape)[0], *spec.channels)
    return dense + sum((fan_in * KERNEL**2 + 1) * fan_out for fan_in, fan_out in pairwise(planes))


def _check_widths(path: str, widths: tuple[int, ...], *, needed: bool, allowed: bool) -> None:
    if widths and not allowed:
        raise ConfigError(
            f"expected nothing for this kind of model, got {list(widths)}; remove the key", path
        )
    if needed and not widths:
        raise ConfigError("expected at least one width, got none; for example [32]", path)
    if any(width < 1 for width in widths):
        raise ConfigError(f"expected positive widths, got {list(widths)}", path)
