"""What a model learns: from logits and labels to one loss and one score per example.

Rules kept here:
- A loss is of one example alone. An answer's loss is the mean over its own tokens, never over the batch's, so
  that no example's gradient depends on how long another one's answer is.
- Only the answer counts: a position without a label, the prompt and the padding, has no loss and no score.
- The label of a position is the token AT it, which the logits of the position before predict.

What this file does NOT do: sum over a batch (`clipping`, `learner`), or make labels (`tokens`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from securefl.data.examples import NONE

PerExample = Callable[[Tensor, Tensor], Tensor]
"""(logits, labels) -> one number per example. Shapes: (n, ..., classes), (n, ...) -> (n,)."""
Losses = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(module, features, labels) -> one loss per example."""


@dataclass(frozen=True)
class Task:
    """What there is to learn.

    Attributes:
        name: `classification` of numbers, `sequence_classification` of texts, or `causal_lm`, answers.
        losses: cross-entropy in nats, per example.
        correct: per example, the share of its labels that have the largest logit.
        texts: whether examples are token ids.
        answers: whether every position has a label.
    """

    name: str
    losses: PerExample
    correct: PerExample
    texts: bool = False
    answers: bool = False

    def of(self, module: nn.Module, features: Tensor, labels: Tensor) -> Tensor:
        """One loss per example of a batch. Shapes: (n,)."""
        return self.losses(module(features), labels)


def _class_losses(logits: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, labels, reduction="none")


def _class_correct(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(1) == labels).double()


def _answer_losses(logits: Tensor, labels: Tensor) -> Tensor:
    wanted = labels[:, 1:]
    there = wanted != NONE  # a vocabulary is wide: no logarithms where nothing is learned
    predicted = logits[:, :-1][there]
    each = predicted.new_zeros(wanted.shape)
    each[there] = nn.functional.cross_entropy(predicted, wanted[there], reduction="none")
    return each.sum(1) / _learned(wanted)


def _answer_correct(logits: Tensor, labels: Tensor) -> Tensor:
    wanted = labels[:, 1:]
    right = (logits[:, :-1].argmax(2) == wanted) & (wanted != NONE)
    return right.double().sum(1) / _learned(wanted)


def _learned(wanted: Tensor) -> Tensor:
    # At least one: the first token of a text has nothing before it, and may be its only label.
    return (wanted != NONE).sum(1).clamp(min=1).to(torch.get_default_dtype())


CLASSIFICATION = Task("classification", _class_losses, _class_correct)
TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        CLASSIFICATION,
        Task("sequence_classification", _class_losses, _class_correct, texts=True),
        Task("causal_lm", _answer_losses, _answer_correct, texts=True, answers=True),
    )
}
