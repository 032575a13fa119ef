"""The table of 24 configurations: no audit of a run's own mechanism passes its accountant.

Unit example or client, epsilon 1, 4 or 8, nobody gone or 40 % of a group, the whole model or LoRA adapters of
a tiny random Llama. With confidence 1 - 1e-4 / 24 each, a false alarm anywhere has probability 1e-4 at most;
really below 1e-9, since two rates would have to err by 4.75 deviations each.

With unit example dropouts change nothing: a client's noise covers it alone. With unit client, 40 % gone
leaves in a group's sum the fewest honest shares, which are charged for (h = 5 of 10); with nobody gone there
are 9, and an audit sees less than is charged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from securefl.audit import Audit, Subject, audit, client_subject, example_subject, gaussian_epsilon
from securefl.building import load_dataset
from securefl.config import Config
from securefl.crypto import SystemRandomness
from securefl.data import Dataset, Examples
from securefl.guarantee import Terms, settle
from securefl.privacy import SampledGaussian

# peft reads an attribute that the newest transformers is about to rename.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

Make = Callable[..., Config]
CONFIDENCE = 1 - 1e-4 / 24
DRAWS = {1.0: 14_000, 4.0: 2_000, 8.0: 2_000}
LOST = 25.0
"""An audit of n counted draws misses at most LOST / sqrt(n) of a shift of at most 1.7.

The two rates (error 1e-6 each, 4.75 deviations) and 5.8 deviations of luck, of sqrt(2) rates together, in
units of the shift: (2 x 4.75 + 5.8 sqrt(2)) x 1.41 = 25. A row fails by bad luck with probability 3e-9.
"""
TOKENS, LENGTH, CLASSES = 17, 8, 10


@dataclass(frozen=True)
class Row:
    """One configuration."""

    unit: Literal["example", "client"]
    epsilon: float
    dropout: float
    adapters: bool

    def __str__(self) -> str:
        model = "LoRA" if self.adapters else "full"
        return f"{self.unit}, epsilon {self.epsilon:g}, {self.dropout:.0%} gone, {model}"


ROWS = [
    Row(unit, epsilon, dropout, adapters)
    for unit in ("example", "client")
    for epsilon in (1.0, 4.0, 8.0)
    for dropout in (0.0, 0.4)
    for adapters in (False, True)
]
ONE_OF_EACH = [row for row in ROWS if (row.epsilon, row.dropout) == (8.0, 0.4)]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_lower_bound_stays_below_the_accountants(small: Make, row: Row) -> None:
    assert_stays_below(small, row, DRAWS[row.epsilon])


@pytest.mark.parametrize("row", ONE_OF_EACH, ids=str)
def test_one_row_of_each_kind_with_few_draws(small: Make, row: Row) -> None:
    assert_stays_below(small, row, 400)


def assert_stays_below(small: Make, row: Row, draws: int) -> None:
    """And above what so many draws show for sure; without that a blind audit would pass."""
    subject, shift = built(small, row)
    found = audit(subject, draws, CONFIDENCE)
    print(told(row, found))
    assert not found.refuted
    assert found.claim.upper_run <= row.epsilon
    # Below 0 for epsilon 1 with nobody gone, whose shift of 0.18 so few draws need not see.
    assert found.lower.epsilon >= gaussian_epsilon(shift - LOST / sqrt(0.8 * draws), found.lower.delta)


def told(row: Row, found: Audit) -> str:
    lower = found.lower
    return f"{row}: {lower.epsilon:.2f} <= {found.upper:.2f}, ceiling {lower.ceiling:.1f}, {lower.samples}"


def built(small: Make, row: Row) -> tuple[Subject, float]:
    """The row's subject, and how far apart its worlds are in deviations of the noise."""
    config = small(*overrides(row))
    data, source, module = load_dataset(config), SystemRandomness(), None
    if row.adapters:
        module, data = adapted(), tokens(data)
    terms = settle(config, data, None if module is None else trainable(module))
    if row.unit == "example":
        tried = sequences() if row.adapters else None
        return example_subject(terms, source, companions=1, model=module, tried=tried), shift(terms, 1)
    secagg = config.secure_aggregation
    shares = config.smallest_group - secagg.max_colluding if row.dropout == 0.0 else config.honest_shares
    return client_subject(terms, source, shares=shares, model=module), shift(terms, shares)


def overrides(row: Row) -> tuple[str, ...]:
    few = ("server.rounds=1", f"simulation={{dropout: {row.dropout}}}")
    step = "training={local_steps: 1, learning_rate: 0.5, sample_rate: 1.0, expected_batch: 20}"
    promise = f"epsilon: {row.epsilon}, delta: 1e-5, spare_releases: 0"
    # An update of one step is as small as its clip; the resolution of the encoding has to suit it.
    clip, longest = (0.02, 1.0) if row.adapters else (1.0, 50.0)
    if row.unit == "example":
        return (
            *few,
            step,
            f"privacy={{unit: example, clip_norm: {clip}, {promise}}}",
            f"secure_aggregation={{group_size: 3, threshold: 2, clip_norm: {longest}}}",
        )
    return (
        *few,
        step,
        f"privacy={{unit: client, noise: distributed, {promise}}}",
        "clients=10",
        "secure_aggregation={group_size: 10, threshold: 6, max_colluding: 1, clip_norm: 0.5}",
        "robust={rule: mean, max_malicious: 0}",
    )


def shift(terms: Terms, shares: int) -> float:
    assert terms.budget is not None
    event = terms.budget.event
    if isinstance(event, SampledGaussian):
        return 1 / event.noise_multiplier
    # The clip in steps; the sensitivity after rounding, which is charged, is longer by up to 2 %.
    return terms.encoding.clip_norm / terms.encoding.step / (event.sigma * sqrt(shares))


class NextToken(nn.Module):
    """A language model as a classifier: tokens in, logits of the last position out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=tokens.long()).logits
        return logits[:, -1, :CLASSES]


def adapted() -> nn.Module:
    """LoRA adapters, as if trained, on a random Llama of one layer: about 200 parameters."""
    peft = pytest.importorskip("peft", reason="adapters need the extra `lora`")
    transformers = pytest.importorskip("transformers", reason="adapters need the extra `lora`")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shape = transformers.LlamaConfig(
            vocab_size=TOKENS, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
            num_attention_heads=2, use_cache=False,
        )  # fmt: skip
        where = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj", "down_proj"])
        model = peft.get_peft_model(transformers.LlamaForCausalLM(shape), where)
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                nn.init.normal_(parameter, std=0.3)  # peft starts one factor at zero
        return NextToken(model)


def trainable(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def tokens(data: Dataset) -> Dataset:
    """The digits' pixels, 0 to 16, as tokens: one row out of the middle of each image."""

    def read(some: Examples) -> Examples:
        rows = some.features.reshape(len(some), 8, 8)[:, 3, :LENGTH]
        return Examples(np.rint((TOKENS - 1) * rows).astype(np.float32), some.labels)

    return replace(data, train=read(data.train), test=read(data.test))


def sequences() -> list[Examples]:
    """Random sequences, one of each class, to choose a canary from."""
    drawn = np.random.default_rng(0).integers(0, TOKENS, (CLASSES, 1, LENGTH)).astype(np.float32)
    return [Examples(one, np.array([label])) for label, one in enumerate(drawn)]
