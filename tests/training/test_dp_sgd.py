"""The noise on a clipped sum: its variance, its source, and that nothing goes without it."""

import numpy as np
import torch

from securefl.crypto.randomness import SeededRandomness, Stream
from securefl.training.dp_sgd import PrivateGradient

CLIP, MULTIPLIER, DIM = 0.5, 1.7, 80_000
NOTHING = (torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64))


def stream(label: str) -> Stream:
    return SeededRandomness(b"dp_sgd").stream(label)


def constant(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.full((DIM,), float(len(labels)))


GRADIENT = PrivateGradient(constant, CLIP, MULTIPLIER)


def test_the_noise_has_the_variance_of_multiplier_times_clip_and_is_fresh_each_time() -> None:
    source = stream("noise")
    noise = np.stack([GRADIENT(*NOTHING, source) for _ in range(50)])
    # The sample variance of n normals deviates by sqrt(2 / n); five of them, 6e-7 false alarms.
    assert abs(noise.var() / (CLIP * MULTIPLIER) ** 2 - 1) < 5 * np.sqrt(2 / noise.size)
    assert abs(noise.mean()) < 5 * CLIP * MULTIPLIER / np.sqrt(noise.size)
    for other in noise[1:]:
        # The correlation of two independent draws deviates by 1 / sqrt(dim); six of them for 49 pairs.
        assert abs(np.corrcoef(noise[0], other)[0, 1]) < 6 / np.sqrt(DIM)


def test_the_noise_is_added_to_the_sum_once() -> None:
    batch = torch.zeros(3, 5), torch.zeros(3, dtype=torch.int64)
    difference = GRADIENT(*batch, stream("a")) - GRADIENT(*NOTHING, stream("a"))
    assert np.allclose(difference, 3.0, atol=1e-9)


def test_every_coordinate_of_an_empty_batch_is_noised() -> None:
    assert GRADIENT(*NOTHING, stream("a")).all()


def test_the_noise_is_the_streams_and_never_torchs() -> None:
    state = torch.get_rng_state()
    one = GRADIENT(*NOTHING, stream("a"))
    assert torch.equal(state, torch.get_rng_state())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        assert np.array_equal(one, GRADIENT(*NOTHING, stream("a")))
    assert not np.isclose(one, GRADIENT(*NOTHING, stream("b"))).all()
