"""How a model does on examples: scores of each one, and what they come to over some of them.

Rules kept here:
- Scores are exact, so not private about the examples.
- Accuracy and loss weigh every example alike, however long its answer is; perplexity and the share of right
  tokens weigh every token alike, as they are meant elsewhere.

What this file does NOT do: train, or say whose examples they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from securefl.data.examples import NONE, Examples
from securefl.training.tasks import CLASSIFICATION, TASKS, Task

EVALUATION_BATCH = 2048
"""Examples that are scored at a time, or tokens."""


@dataclass(frozen=True)
class Scores:
    """How a model does on a set of examples.

    Attributes:
        accuracy: share of examples whose largest logit is at the label; of answers, the mean of their shares.
        loss: mean cross-entropy, in nats.
        examples: number of examples.
        token_accuracy: of answers, the share of their tokens that have the largest logit; else None.
        perplexity: of answers, the exponential of the mean cross-entropy of a token; else None.
        tokens: of answers, how many of them were predicted; else None.
    """

    accuracy: float
    loss: float
    examples: int
    token_accuracy: float | None = None
    perplexity: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, eq=False)
class Each:
    """Scores of each example.

    Shapes:
        correct: (n,), share of its labels that have the largest logit. losses: (n,), in nats.
        tokens: (n,), labels of an answer that something stands before; None of classes.
    """

    correct: NDArray[np.float64]
    losses: NDArray[np.float64]
    tokens: NDArray[np.int64] | None = None

    def over(self, rows: NDArray[np.int64] | None = None) -> Scores:
        """The scores of the examples at `rows`; of all for None."""
        chosen = np.arange(len(self.losses)) if rows is None else rows
        count = max(len(chosen), 1)
        correct, losses = self.correct[chosen], self.losses[chosen]
        plain = Scores(float(correct.sum()) / count, float(losses.sum()) / count, len(chosen))
        if self.tokens is None:
            return plain
        tokens = self.tokens[chosen]
        total = max(int(tokens.sum()), 1)
        return Scores(
            plain.accuracy,
            plain.loss,
            plain.examples,
            token_accuracy=float((correct * tokens).sum()) / total,
            perplexity=float(np.exp((losses * tokens).sum() / total)),
            tokens=int(tokens.sum()),
        )


def score(module: nn.Module, examples: Examples, task: Task = CLASSIFICATION) -> Scores:
    """Scores of a module, which is left in evaluation mode. Exact, so not private about `examples`."""
    return score_each(module, examples, task).over()


def score_each(module: nn.Module, examples: Examples, task: Task = CLASSIFICATION) -> Each:
    """The same, example by example."""
    module.eval()
    device = next(module.parameters()).device
    count, batch = len(examples.labels), at_a_time(task, examples)
    correct, losses = np.zeros(count), np.zeros(count)
    with torch.inference_mode():
        for start in range(0, count, batch):
            piece = slice(start, start + batch)
            features, labels = tensors(examples, piece, device)
            logits = module(features)
            correct[piece] = task.correct(logits, labels).cpu().numpy()
            losses[piece] = task.losses(logits.double(), labels).cpu().numpy()
    tokens = (examples.labels[:, 1:] != NONE).sum(1) if task.answers else None
    return Each(correct, losses, tokens)


def perplexities(module: nn.Module, examples: Examples, clients: NDArray[np.int64]) -> dict[int, float]:
    """Perplexity of each client's own answers, clients ascending. Shapes: clients (n,).

    Models that cut texts into other tokens have no common unit.
    """
    each = score_each(module, examples, TASKS["causal_lm"])
    found = {int(client): each.over(np.flatnonzero(clients == client)) for client in np.unique(clients)}
    return {client: scores.perplexity for client, scores in found.items() if scores.perplexity is not None}


def at_a_time(task: Task, examples: Examples) -> int:
    """How many examples are scored at a time."""
    return max(1, EVALUATION_BATCH // examples.shape[0]) if task.texts else EVALUATION_BATCH


def tensors(
    examples: Examples, chosen: NDArray[np.int64] | slice, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Features and labels of some examples. Copies, so read-only arrays are fine and nothing is shared."""
    features = torch.tensor(examples.features[chosen], dtype=torch.float32, device=device)
    return features, torch.tensor(examples.labels[chosen], dtype=torch.int64, device=device)
