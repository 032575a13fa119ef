"""A module's state as named NumPy arrays and back, for safetensors files.

Rules kept here: names and shapes must match exactly; nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from securefl.errors import RunDirectoryError

Arrays = Mapping[str, NDArray[np.generic]]


def named_arrays(module: nn.Module) -> dict[str, NDArray[np.generic]]:
    """Copies of all parameters and buffers by name."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def with_arrays(module: nn.Module, arrays: Arrays) -> nn.Module:
    """`module` with the given state, in evaluation mode.

    Raises:
        RunDirectoryError: other names or shapes than the module's.
    """
    try:
        module.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    except RuntimeError as cause:
        raise RunDirectoryError(
            f"expected the state of this run's model, got another ({cause}); restore the run directory"
        ) from cause
    return module.eval()
