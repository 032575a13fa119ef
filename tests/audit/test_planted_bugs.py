"""Bugs of the mechanism, planted into the run's own functions, and the check that catches each.

Large ones are caught by the audit itself. For those that an audit sees too late, a direct check of what the
accountant takes for granted: how far one example moves the sum. The noise's own variance, samplers,
accountants and ledgers have their bugs in tests/privacy/test_planted_bugs.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from securefl.audit import Audit, audit, example_subject
from securefl.building import load_dataset
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.crypto.randomness import Stream
from securefl.data import Examples
from securefl.encoding import clip_to_norm
from securefl.errors import PrivacyError
from securefl.guarantee import settle
from securefl.privacy.noise import gaussian
from securefl.training import LocalSettings, build_model, clipping, dp_sgd, learner
from securefl.training.clipping import ClippedSum, clipped_sum, materialised
from securefl.training.dp_sgd import PrivateGradient
from securefl.training.flat import trainable
from securefl.training.learner import Learner
from securefl.training.shapes import ModelSpec

Make = Callable[..., Config]
Patch = pytest.MonkeyPatch

CONFIDENCE = 1 - 1e-4 / 24
DRAWS = 200
UNSAMPLED = "training={local_steps: 1, learning_rate: 0.5, sample_rate: 1.0, expected_batch: 20}"
SAMPLED = "training={local_steps: 1, learning_rate: 0.5, sample_rate: 0.1, expected_batch: 20}"
ONE_ROUND = ("server.rounds=1", "privacy.spare_releases=0", "secure_aggregation.epoch_rounds=1")


def audited(
    small: Make, training: str = UNSAMPLED, epsilon: float = 1.0, companions: int = 8, draws: int = DRAWS
) -> Audit:
    config = small(training, *ONE_ROUND, f"privacy.epsilon={epsilon}", "secure_aggregation.clip_norm=50.0")
    terms = settle(config, load_dataset(config))
    return audit(example_subject(terms, SeededRandomness(b"bugs"), companions=companions), draws, CONFIDENCE)


# -- caught by the audit ----------------------------------------------------------------------------


def noise_off(patch: Patch) -> None:
    patch.setattr(dp_sgd, "gaussian", lambda stream, count: 1e-6 * gaussian(stream, count))


def noise_times_a_fifth(patch: Patch) -> None:
    patch.setattr(dp_sgd, "gaussian", lambda stream, count: 0.2 * gaussian(stream, count))


def seeded_noise(patch: Patch) -> None:
    patch.setattr(dp_sgd, "gaussian", lambda _, count: np.random.default_rng(7).standard_normal(count))


def clipping_off(patch: Patch) -> None:
    patch.setattr(learner, "clipped_sum", lambda module, clip_norm, losses: clipped_sum(module, 1e6, losses))


def noise_before_clipping(patch: Patch) -> None:
    def call(self: PrivateGradient, features: Tensor, labels: Tensor, noise: Stream) -> NDArray[np.float64]:
        summed = self.clipped_sum(features, labels).numpy().astype(np.float64)
        noisy = summed + self.clip_norm * self.noise_multiplier * gaussian(noise, len(summed))
        return clip_to_norm(noisy, self.clip_norm)

    clipping_off(patch)
    patch.setattr(PrivateGradient, "__call__", call)


def division_by_the_private_number(patch: Patch) -> None:
    honest = Learner.train

    def train(self: Learner, vector: NDArray[np.float32], examples: Examples, *rest: object):
        return honest(self, vector, examples, *rest) * 20 / (len(examples) + 1)

    patch.setattr(Learner, "train", train)


def noise_by_the_size_of_the_batch(patch: Patch) -> None:
    honest = PrivateGradient.__call__

    def call(self: PrivateGradient, features: Tensor, labels: Tensor, noise: Stream) -> NDArray[np.float64]:
        return honest(self, features, labels, noise) / max(len(labels), 1)

    patch.setattr(PrivateGradient, "__call__", call)


LARGE = [
    noise_off,
    noise_times_a_fifth,
    seeded_noise,
    clipping_off,
    noise_before_clipping,
    division_by_the_private_number,
    noise_by_the_size_of_the_batch,
]


def test_the_honest_mechanism_passes_the_audit(small: Make) -> None:
    # A false alarm has probability 1e-4 / 24 at most.
    assert not audited(small).refuted


@pytest.mark.parametrize("bug", LARGE, ids=lambda bug: bug.__name__)
def test_a_large_bug_is_refuted_by_the_audit(
    bug: Callable[[Patch], None], small: Make, monkeypatch: Patch
) -> None:
    bug(monkeypatch)
    assert audited(small, draws=350 if bug is noise_times_a_fifth else DRAWS).refuted


@pytest.mark.slow
def test_noise_times_a_half_is_refuted_by_the_audit(small: Make, monkeypatch: Patch) -> None:
    # At epsilon 4 the shift is 1.85 instead of 0.93; the rates of 720 counted draws, each known to +-0.22 in
    # units of it at this confidence, place it above 1.4.
    monkeypatch.setattr(dp_sgd, "gaussian", lambda stream, count: 0.5 * gaussian(stream, count))
    assert audited(small, epsilon=4.0, draws=900).refuted


def test_full_batches_accounted_as_samples_are_refuted_by_the_audit(small: Make, monkeypatch: Patch) -> None:
    assert not audited(small, training=SAMPLED, epsilon=4.0).refuted
    monkeypatch.setattr(learner, "poisson_sample", lambda stream, population, rate: np.arange(population))
    assert audited(small, training=SAMPLED, epsilon=4.0).refuted


def test_an_empty_batch_skipped_does_not_get_past_the_first_release(small: Make, monkeypatch: Patch) -> None:
    honest = PrivateGradient.__call__

    def call(self: PrivateGradient, features: Tensor, labels: Tensor, noise: Stream) -> NDArray[np.float64]:
        if len(labels) == 0:
            return np.zeros(sum(one.numel() for _, one in trainable(MODEL)))
        return honest(self, features, labels, noise)

    assert not audited(small, companions=0).refuted
    monkeypatch.setattr(PrivateGradient, "__call__", call)
    with pytest.raises(PrivacyError, match="did not move"):
        audited(small, companions=0)


# -- caught directly --------------------------------------------------------------------------------

CLIP = 0.7
MODEL = build_model(ModelSpec("linear"), (8, 8), 10, seed=0)
DEEP = ModelSpec("mlp", hidden=(6, 5))


def one_example_moves_the_sum_by_the_clip_at_most(way: Callable[[nn.Module, float], ClippedSum]) -> None:
    features = torch.randn((5, 7), generator=torch.Generator().manual_seed(1)) * 10
    features[4, 2] = float("nan")
    labels = torch.tensor([0, 1, 2, 0, 1])
    total = way(build_model(DEEP, (7,), 3, seed=2), CLIP)
    for last in range(1, 6):
        sums = [total(features[:n], labels[:n]).double().numpy() for n in (last - 1, last)]
        assert np.linalg.norm(sums[1] - sums[0]) <= CLIP * (1 + 1e-5)


def clipped_layer_by_layer(module: nn.Module, clip_norm: float) -> ClippedSum:
    """Every parameter gets the whole clip for itself."""
    parameters = [parameter for _, parameter in trainable(module)]

    def sum_of(features: Tensor, labels: Tensor) -> Tensor:
        total = [torch.zeros_like(parameter) for parameter in parameters]
        for row, label in zip(features, labels, strict=True):
            loss = nn.functional.cross_entropy(module(row[None]), label[None])
            for at, piece in enumerate(torch.autograd.grad(loss, parameters)):
                if torch.isfinite(piece).all():
                    total[at] += piece * min(1.0, clip_norm / float(piece.norm()))
        return torch.cat([piece.reshape(-1) for piece in total])

    return sum_of


def clipped_as_a_batch(module: nn.Module, clip_norm: float) -> ClippedSum:
    """The sum is clipped, not what each example gives to it."""
    exact = materialised(module, 1e6)

    def sum_of(features: Tensor, labels: Tensor) -> Tensor:
        total = exact(features, labels)
        return total * len(labels) * min(1.0, clip_norm / max(float(total.norm()), 1e-12))

    return sum_of


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("way", [clipped_sum, materialised])
def test_the_honest_clip_passes_the_direct_check(way: Callable[[nn.Module, float], ClippedSum]) -> None:
    one_example_moves_the_sum_by_the_clip_at_most(way)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("way", [clipped_layer_by_layer, clipped_as_a_batch])
def test_a_clip_of_another_kind_fails_the_direct_check(
    way: Callable[[nn.Module, float], ClippedSum],
) -> None:
    with pytest.raises(AssertionError):
        one_example_moves_the_sum_by_the_clip_at_most(way)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_a_nan_example_that_is_kept_fails_the_direct_check(monkeypatch: Patch) -> None:
    monkeypatch.setattr(clipping, "_zero_broken_examples", lambda names, parameters: None)
    with pytest.raises(AssertionError):
        one_example_moves_the_sum_by_the_clip_at_most(materialised)


def test_the_noise_grows_with_the_clip() -> None:
    module = build_model(ModelSpec("linear"), (4,), 3, seed=0)
    nothing = Examples(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    source, start, noises = SeededRandomness(b"scale"), np.zeros(15, np.float32), []
    for clip in (CLIP, 3 * CLIP):
        private = Learner(module, LocalSettings(1, 0.5, 1.0, 20, clip_norm=clip, noise_multiplier=1.0))
        noises.append(private.train(start, nothing, source.stream("s"), source.stream("n")))
    assert np.allclose(noises[1], 3 * noises[0], rtol=1e-9)
