"""Local rounds from flat vector to flat update."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from securefl.crypto.randomness import SeededRandomness, Stream, SystemRandomness
from securefl.data.examples import Examples
from securefl.errors import ConfigError, DataError, PrivacyError
from securefl.privacy.noise import poisson_sample
from securefl.training import dp_sgd, scoring
from securefl.training.flat import get_vector
from securefl.training.learner import Learner
from securefl.training.models import build_model
from securefl.training.settings import LocalSettings
from securefl.training.shapes import ModelSpec

PLAIN = LocalSettings(steps=4, learning_rate=0.1, sample_rate=0.3, expected_batch=12)
PRIVATE = replace(PLAIN, clip_norm=0.5, noise_multiplier=1.1)
LINEAR = build_model(ModelSpec("linear"), (5,), 3, seed=1)
START = get_vector(LINEAR)


def streams(label: int = 0) -> tuple[Stream, Stream]:
    source = SeededRandomness(b"learner")
    return source.stream("sampling", label), source.stream("noise", label)


def some_examples(count: int = 40, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    return Examples(rng.normal(size=(count, 5)).astype(np.float32), rng.integers(0, 3, count))


def mean_gradient(vector: np.ndarray, examples: Examples, divisor: float) -> np.ndarray:
    """Gradient of softmax regression by hand, in the flat vector's order."""
    weights, bias = vector[:15].reshape(3, 5), vector[15:]
    logits = examples.features.astype(np.float64) @ weights.T + bias
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    error = shifted / shifted.sum(1, keepdims=True) - np.eye(3)[examples.labels]
    return np.concatenate([(error.T @ examples.features).ravel(), error.sum(0)]) / divisor


def test_plain_training_is_sgd_over_poisson_batches_divided_by_the_declared_batch() -> None:
    examples, weights = some_examples(), START.astype(np.float64)
    sampling, _ = streams()
    sampling.take(7)
    for _ in range(PLAIN.steps):
        chosen = poisson_sample(sampling, len(examples), PLAIN.sample_rate)
        weights -= PLAIN.learning_rate * mean_gradient(weights, examples.take(chosen), PLAIN.expected_batch)
    update = Learner(LINEAR, PLAIN).train(START, examples, *streams())
    assert np.allclose(update, weights - START, atol=1e-6)


@pytest.mark.parametrize("settings", [PLAIN, PRIVATE], ids=["plain", "private"])
def test_the_update_scales_with_the_declared_batch_and_not_with_the_data(settings: LocalSettings) -> None:
    one_step = replace(settings, steps=1)
    halved = replace(one_step, expected_batch=2 * settings.expected_batch)
    updates = [Learner(LINEAR, each).train(START, some_examples(), *streams()) for each in (one_step, halved)]
    assert np.allclose(updates[0], 2 * updates[1], rtol=1e-12)


def test_private_noise_is_divided_by_the_declared_batch_whatever_the_number_of_examples() -> None:
    settings = replace(PRIVATE, steps=1, learning_rate=1.0, sample_rate=1e-9)
    learner = Learner(LINEAR, settings)
    for count in (1, 1000):
        source = SystemRandomness()
        updates = np.concatenate(
            [learner.train(START, some_examples(count), source.stream(), source.stream()) for _ in range(300)]
        )
        expected = PRIVATE.clip_norm * PRIVATE.noise_multiplier / PRIVATE.expected_batch
        # 5,400 normals: the sample variance deviates by sqrt(2 / n); six of them, 4e-9.
        assert abs(updates.var() / expected**2 - 1) < 6 * np.sqrt(2 / updates.size)


def test_a_client_whose_batches_are_all_empty_still_sends_noise_for_every_step() -> None:
    learner = Learner(LINEAR, replace(PRIVATE, sample_rate=1e-9, steps=3))
    short = Learner(LINEAR, replace(PRIVATE, sample_rate=1e-9, steps=2))
    update, shorter = (each.train(START, some_examples(), *streams()) for each in (learner, short))
    assert update.all()
    assert not np.allclose(update, shorter)


def test_without_privacy_an_empty_batch_changes_nothing() -> None:
    update = Learner(LINEAR, replace(PLAIN, sample_rate=1e-9)).train(START, some_examples(), *streams())
    assert not update.any()


@pytest.mark.parametrize("settings", [PLAIN, PRIVATE], ids=["plain", "private"])
def test_equal_streams_give_equal_bits_whatever_ran_before(settings: LocalSettings) -> None:
    fresh, used = Learner(LINEAR, settings), Learner(LINEAR, replace(settings))
    used.train(START + 1, some_examples(seed=5), *streams(9))
    used.evaluate(START - 1, some_examples())
    torch.manual_seed(1234)
    updates = [each.train(START, some_examples(), *streams()) for each in (fresh, used)]
    assert updates[0].tobytes() == updates[1].tobytes()
    assert updates[0].dtype == np.float64


def test_two_clients_of_one_seed_get_different_noise_from_the_operating_system() -> None:
    # Full batches, so that nothing but noise can differ; two doubles of it are equal with 2^-50 or so.
    learner, source = Learner(LINEAR, replace(PRIVATE, sample_rate=1.0)), SystemRandomness()
    updates = [
        learner.train(START, some_examples(), source.stream("x", 0), source.stream("n", 0)) for _ in range(2)
    ]
    assert (updates[0] != updates[1]).all()


def test_dropout_is_replayed_by_the_sampling_stream_and_torchs_generator_is_left_alone() -> None:
    module = nn.Sequential(nn.Linear(5, 30), nn.Dropout(0.5), nn.Linear(30, 3))
    learner, start = Learner(module, PLAIN), get_vector(module)
    state = torch.get_rng_state()
    updates = [learner.train(start, some_examples(), *streams()) for _ in range(2)]
    assert np.array_equal(updates[0], updates[1])
    assert torch.equal(state, torch.get_rng_state())


def test_momentum_accumulates_within_a_round() -> None:
    full = replace(PLAIN, sample_rate=1.0, steps=2, expected_batch=40.0)
    examples, rate = some_examples(), full.learning_rate
    first = mean_gradient(START, examples, 40.0)
    second = mean_gradient(START - rate * first, examples, 40.0)
    update = Learner(LINEAR, replace(full, momentum=0.5)).train(START, examples, *streams())
    assert np.allclose(update, -rate * (first + 0.5 * first + second), atol=1e-6)


@pytest.mark.parametrize("settings", [PLAIN, PRIVATE], ids=["plain", "private"])
def test_fedprox_adds_mu_times_the_distance_after_the_noise(settings: LocalSettings) -> None:
    examples = some_examples()
    one = Learner(LINEAR, replace(settings, steps=1)).train(START, examples, *streams())
    proximal = Learner(LINEAR, replace(settings, steps=1, proximal=5.0)).train(START, examples, *streams())
    assert np.array_equal(one, proximal)  # at the global model the pull is zero
    two = replace(settings, steps=2, sample_rate=1e-9, learning_rate=0.1)
    free = Learner(LINEAR, two).train(START, examples, *streams())
    pulled = Learner(LINEAR, replace(two, proximal=5.0)).train(START, examples, *streams())
    first = Learner(LINEAR, replace(two, steps=1)).train(START, examples, *streams())
    assert np.allclose(free - pulled, 0.1 * 5.0 * first, atol=1e-12)


def test_frozen_parameters_stay_and_trained_ones_move() -> None:
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    module[0].requires_grad_(False)
    frozen = module[0].weight.clone()
    learner, start = Learner(module, PRIVATE), get_vector(module)
    update = learner.train(start, some_examples(), *streams())
    assert learner.dim == 15
    assert update.all()
    assert torch.equal(learner.module(start)[0].weight, frozen)


def test_noise_that_never_arrives_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dp_sgd, "gaussian", lambda stream, count: np.zeros(count))
    with pytest.raises(PrivacyError, match="did not move"):
        Learner(LINEAR, replace(PRIVATE, sample_rate=1e-9)).train(START, some_examples(), *streams())


def test_a_frozen_parameter_that_a_module_writes_itself_is_noticed() -> None:
    class Sly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 3)
            self.frozen = nn.Parameter(torch.zeros(3), requires_grad=False)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                self.frozen.add_(1)
            return self.layer(features)

    module = Sly()
    with pytest.raises(PrivacyError, match="frozen"):
        Learner(module, PLAIN).train(get_vector(module), some_examples(), *streams())


def test_the_callers_module_is_untouched() -> None:
    module = build_model(ModelSpec("linear"), (5,), 3, seed=3).eval()
    before = get_vector(module)
    Learner(module, PRIVATE).train(before + 1, some_examples(), *streams())
    assert np.array_equal(get_vector(module), before)
    assert not module.training
    assert not hasattr(next(module.parameters()), "grad_sample")


def test_the_returned_module_has_the_vector_no_hooks_and_evaluates() -> None:
    learner = Learner(LINEAR, PRIVATE)
    learner.train(START, some_examples(), *streams())
    module = learner.module(START + 1)
    assert np.array_equal(get_vector(module), START + 1)
    assert type(module) is nn.Sequential
    assert not module.training
    assert not any(layer._forward_hooks or layer._backward_hooks for layer in module.modules())


def test_evaluation_counts_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "EVALUATION_BATCH", 7)
    examples = some_examples()
    logits = examples.features @ START[:15].reshape(3, 5).T + START[15:]
    log_probability = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    scores = Learner(LINEAR, PLAIN).evaluate(START, examples)
    assert scores.examples == 40
    assert scores.accuracy == pytest.approx(np.mean(logits.argmax(1) == examples.labels), abs=1e-12)
    assert scores.loss == pytest.approx(-np.mean(log_probability[np.arange(40), examples.labels]), rel=1e-5)


def test_a_module_that_mixes_examples_never_trains() -> None:
    with pytest.raises(ConfigError, match="GroupNorm"):
        Learner(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)), PRIVATE)


def test_a_vector_of_another_model_is_refused() -> None:
    with pytest.raises(DataError, match="18 trainable"):
        Learner(LINEAR, PLAIN).train(START[:-1], some_examples(), *streams())


def test_data_of_another_shape_is_refused() -> None:
    wrong = Examples(np.zeros((4, 6), np.float32), np.zeros(4, np.int64))
    with pytest.raises(ConfigError, match="does not accept"):
        Learner(LINEAR, PRIVATE).train(START, wrong, *streams())


def test_training_that_diverges_says_so() -> None:
    with pytest.raises(DataError, match="lower the learning rate"):
        Learner(LINEAR, replace(PRIVATE, learning_rate=1e300)).train(START, some_examples(), *streams())


def test_quickstarts_training_takes_seconds_of_processor_time() -> None:
    import time

    rng = np.random.default_rng(0)
    examples = Examples(rng.random((120, 64), dtype=np.float32), rng.integers(0, 10, 120))
    module = build_model(ModelSpec("linear"), (64,), 10, seed=0)
    settings = LocalSettings(5, 0.5, 0.2, 24, clip_norm=1.0, noise_multiplier=1.0)
    learner, start, source = Learner(module, settings), get_vector(module), SystemRandomness()
    began = time.process_time()
    for _ in range(60):
        learner.train(start, examples, source.stream(), source.stream())
    # 60 of quickstart's 360 local rounds; 10 s for all of them, doubled for a slow machine.
    assert time.process_time() - began < 10 / 6 * 2


@pytest.mark.parametrize("count", [0, 1, 40])
def test_logits_are_those_of_the_vector_and_training_goes_on_as_before(count: int) -> None:
    examples, learner = some_examples().take(np.arange(count)), Learner(LINEAR, PRIVATE)
    weights, bias = START[:15].reshape(3, 5), START[15:]
    assert np.allclose(learner.logits(START, examples), examples.features @ weights.T + bias, atol=1e-5)
    fresh = Learner(LINEAR, PRIVATE).train(START, some_examples(), *streams())
    assert np.array_equal(learner.train(START, some_examples(), *streams()), fresh)
