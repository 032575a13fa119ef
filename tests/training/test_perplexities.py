"""Perplexity by client: tokens of one client weigh the same, and prompts and padding nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from securefl.data import NONE, Examples
from securefl.training import perplexities

VOCABULARY = 5


class Bigram(nn.Module):
    """Logits of the next token from this one alone."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY + 1, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.table(tokens.long() + 1)
        return logits


def test_every_token_of_a_client_weighs_the_same_and_prompts_and_padding_nothing() -> None:
    torch.manual_seed(0)
    model = Bigram()
    tokens = np.array([[1, 2, 3, 4], [2, 3, NONE, NONE], [3, 1, 2, NONE]] * 7, dtype=np.float32)
    labels = np.array([[NONE, 2, 3, 4], [NONE, 3, NONE, NONE], [NONE, NONE, 2, NONE]] * 7)
    found = perplexities(model, Examples(tokens, labels), np.array([0, 0, 2] * 7))
    nats = -model.table.weight[1:].log_softmax(1).detach().numpy().astype(np.float64)
    assert found == {
        0: pytest.approx(math.exp((nats[1, 2] + nats[2, 3] + nats[3, 4] + nats[2, 3]) / 4), rel=1e-5),
        2: pytest.approx(math.exp(nats[1, 2]), rel=1e-5),
    }


def test_a_model_that_knows_nothing_is_as_surprised_as_its_vocabulary_is_large() -> None:
    model = Bigram()
    nn.init.zeros_(model.table.weight)
    examples = Examples(np.array([[1.0, 2, 3]]), np.array([[NONE, 2, 3]]))
    assert perplexities(model, examples, np.array([4])) == {4: pytest.approx(VOCABULARY, rel=1e-5)}
