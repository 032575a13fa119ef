"""A module's state as named NumPy arrays and back, for safetensors files.

Rules kept here: names and shapes must match exactly; nothing is unpickled. Adapters stand without their base,
which nothing writes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from securefl.errors import RunDirectoryError
from securefl.training.flat import trainable

Arrays = Mapping[str, NDArray[np.generic]]


def named_arrays(module: nn.Module) -> dict[str, NDArray[np.generic]]:
    """Copies of parameters and buffers by name; of an adapted model those of its adapters."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in _own_state(module).items()}


def with_arrays(module: nn.Module, arrays: Arrays) -> nn.Module:
    """`module` with the given state, in evaluation mode.

    Raises:
        RunDirectoryError: other names or shapes than the module's.
    """
    try:
        if arrays.keys() != _own_state(module).keys():
            raise RuntimeError("other names")
        module.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()}, strict=False)
    except RuntimeError as cause:
        raise RunDirectoryError(
            f"expected the state of this run's model, got another ({cause}); restore the run directory"
        ) from cause
    return module.eval()


def _own_state(module: nn.Module) -> dict[str, Tensor]:
    """The state without the base beneath adapters: what is frozen and no factor of one."""
    trained = {name for name, _ in trainable(module)}
    state = module.state_dict()
    adapters = any(".lora_" in name for name in trained)
    return {
        name: tensor for name, tensor in state.items() if not adapters or name in trained or ".lora_" in name
    }
