"""A module's trainable parameters as one flat float32 vector, in the module's own order.

Rules kept here:
- Order is `module.named_parameters()`, frozen parameters left out; a tied parameter appears once.
- `set_vector` copies: the module never shares memory with the caller's array.

What this file does NOT do: buffers. Modules whose buffers change in training are refused
(`securefl.training.admission.check_module`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from securefl.errors import DataError


def trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters that the flat vector holds, in its order."""
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


def get_vector(module: nn.Module) -> NDArray[np.float32]:
    """The trainable parameters. Shapes: (dim,)."""
    pieces = [parameter.detach().reshape(-1).to("cpu", torch.float32) for _, parameter in trainable(module)]
    return np.asarray(torch.cat(pieces).numpy(), dtype=np.float32)


def set_vector(module: nn.Module, vector: NDArray[np.float32]) -> None:
    """Overwrites the trainable parameters with `vector`. Shapes: (dim,).

    Raises:
        DataError: another length than the module's, or a value that is not finite.
    """
    parameters = [parameter for _, parameter in trainable(module)]
    dim = sum(parameter.numel() for parameter in parameters)
    if vector.shape != (dim,):
        raise DataError(f"this model has {dim} trainable parameters, got a vector of shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise DataError(
            "the model vector holds values that are not finite: training diverged, lower the learning rate"
        )
    with torch.no_grad():
        copy = torch.tensor(vector, dtype=torch.float32)
        pieces = torch.split(copy, [parameter.numel() for parameter in parameters])
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.copy_(piece.view_as(parameter))
