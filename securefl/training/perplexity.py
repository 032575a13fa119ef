"""How surprised a language model is by each client's texts: perplexity, the exponential of nats per token.

Rules kept here:
- Every learned token counts the same, so a short text of a client weighs less than a long one. That is not
  the mean of losses that training minimises (`tasks`).

What this file does NOT do: compare models that cut texts into other tokens; their perplexities have no common
unit.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from securefl.data.examples import NONE, Examples
from securefl.training.learner import tensors
from securefl.training.tasks import TASKS

_BATCH = 16


def perplexities(module: nn.Module, examples: Examples, clients: NDArray[np.int64]) -> dict[int, float]:
    """Of each client's own examples, clients ascending. Exact, so not private; the module is left evaluating.

    Shapes: examples (n, positions), clients (n,).
    """
    module.eval()
    losses, device = [], next(module.parameters()).device
    with torch.inference_mode():
        for start in range(0, len(examples), _BATCH):
            features, labels = tensors(examples, slice(start, start + _BATCH), device)
            losses.append(TASKS["causal_lm"].losses(module(features), labels).double().cpu().numpy())
    tokens = (examples.labels[:, 1:] != NONE).sum(1)  # the first one has nothing before it
    nats = np.concatenate(losses) * tokens
    return {
        int(client): math.exp(nats[clients == client].sum() / tokens[clients == client].sum())
        for client in np.unique(clients)
    }
