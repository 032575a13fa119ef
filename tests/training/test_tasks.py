"""Losses and scores of single examples, and the probe that tells them from losses of a batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from securefl.data import NONE, Examples
from securefl.errors import ConfigError
from securefl.training.admission import check_examples_apart
from securefl.training.scoring import score, score_each
from securefl.training.tasks import TASKS

ANSWERS = TASKS["causal_lm"]
VOCABULARY, POSITIONS = 11, 6


class Bigram(nn.Module):
    """Logits of the next token from this one alone."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(VOCABULARY + 1, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.table(tokens.long() + 1)
        return logits


def test_an_answers_loss_is_the_mean_over_its_own_tokens_and_padding_and_prompt_count_for_nothing() -> None:
    model = Bigram()
    tokens = torch.tensor([[1.0, 2, 3, 4, NONE, NONE], [5.0, 6, 7, 8, 9, 10]])
    labels = torch.tensor([[NONE, NONE, 3, 4, NONE, NONE], [NONE, NONE, NONE, NONE, NONE, 10]])
    logits = model(tokens).log_softmax(2)
    by_hand = [-(logits[0, 1, 3] + logits[0, 2, 4]) / 2, -logits[1, 4, 10]]
    assert torch.allclose(ANSWERS.of(model, tokens, labels), torch.stack(by_hand))
    tokens[0, 0], tokens[0, 4:] = 9, 3  # other prompt, and other padding: bigrams see neither from the answer
    assert torch.allclose(ANSWERS.of(model, tokens, labels), torch.stack(by_hand))


def test_the_score_of_answers_is_the_mean_over_examples_of_the_share_of_tokens_that_are_right() -> None:
    model = Bigram()
    follower = model.table.weight[1 + torch.tensor([1, 2, 3])].argmax(1).tolist()
    wrong = (follower[1] + 1) % VOCABULARY
    examples = Examples(
        np.array([[1, 2, 3, 1], [1, 2, 3, 1]], np.float32),
        np.array([[NONE, follower[0], wrong, NONE], [NONE, follower[0], NONE, NONE]]),
    )
    scores = score(model, examples, ANSWERS)
    assert scores.accuracy == pytest.approx(0.75)
    assert (scores.token_accuracy, scores.tokens) == (pytest.approx(2 / 3), 3)
    nats = -model.table.weight.detach().log_softmax(1)
    each = [
        nats[2, follower[0]],
        nats[3, wrong],
        nats[2, follower[0]],
    ]  # every token counts alike
    assert scores.perplexity == pytest.approx(float(torch.stack(each).mean().exp()), rel=1e-5)
    assert score_each(model, examples, ANSWERS).over(np.array([1])).accuracy == 1.0


def test_the_probe_accepts_a_mean_per_example_and_finds_a_mean_over_the_batchs_tokens() -> None:
    def of_the_batch(logits: Tensor, labels: Tensor) -> Tensor:
        wanted = labels[:, 1:]
        each = nn.functional.cross_entropy(
            logits[:, :-1].transpose(1, 2), wanted, ignore_index=NONE, reduction="none"
        )
        return each.sum(1) / (wanted != NONE).sum()

    check_examples_apart(Bigram(), (POSITIONS,), VOCABULARY, ANSWERS, VOCABULARY)
    with pytest.raises(ConfigError, match="the loss of one example depends on the others"):
        coupled = replace(ANSWERS, losses=of_the_batch)
        check_examples_apart(Bigram(), (POSITIONS,), VOCABULARY, coupled, VOCABULARY)


def test_the_probe_finds_a_language_model_that_mixes_its_batch_and_logits_of_another_shape() -> None:
    class Mixing(Bigram):
        def forward(self, tokens: Tensor) -> Tensor:
            logits = super().forward(tokens)
            return logits - logits.mean(0)

    with pytest.raises(ConfigError, match="depends on the others"):
        check_examples_apart(Mixing(), (POSITIONS,), VOCABULARY, ANSWERS, VOCABULARY)
    with pytest.raises(ConfigError, match=r"logits of shape \(n, positions, tokens\)"):
        check_examples_apart(nn.Linear(POSITIONS, 3), (POSITIONS,), 3, ANSWERS, VOCABULARY)
