"""What does privacy cost one client? Accuracy against epsilon, at several noise multipliers.

One client trains a linear model on scikit-learn's digits with DP-SGD: Poisson batches, per-example
clipping by Opacus, Gaussian noise from the operating system's entropy. Nothing is federated here.
Epsilon is for adding or removing one training example, at delta = 1e-5, over the whole training.
Run: python examples/dp_client.py
"""

from statistics import median

from securefl.crypto.randomness import SystemRandomness
from securefl.data.digits import load_digits
from securefl.privacy.accountant import epsilon
from securefl.privacy.events import SampledGaussian
from securefl.training import Learner, LocalSettings, ModelSpec, build_model, get_vector, limit_threads

NOISE_MULTIPLIERS = (0.7, 1.2, 2.0, 5.0, 20.0, 50.0)
STEPS = 200
SAMPLE_RATE = 0.1
EXPECTED_BATCH = 144.0  # public: 0.1 x 1,437, declared before anyone looks at the data
CLIP_NORM = 1.0
LEARNING_RATE = 2.0
DELTA = 1e-5
REPEATS = 3


def accuracy(noise_multiplier: float | None) -> float:
    """Median test accuracy over fresh noise; None trains without clip and noise."""
    data = load_digits(test_fraction=0.2, seed=0)
    module = build_model(ModelSpec("linear"), data.shape, data.classes, seed=0)
    start, randomness = get_vector(module), SystemRandomness()
    learner = Learner(
        module,
        LocalSettings(
            steps=STEPS,
            learning_rate=LEARNING_RATE,
            sample_rate=SAMPLE_RATE,
            expected_batch=EXPECTED_BATCH,
            clip_norm=None if noise_multiplier is None else CLIP_NORM,
            noise_multiplier=noise_multiplier,
        ),
    )
    found = []
    for _ in range(REPEATS):
        update = learner.train(start, data.train, randomness.stream("batches"), randomness.stream("noise"))
        found.append(learner.evaluate((start + update).astype(start.dtype), data.test).accuracy)
    return median(found)


def main() -> None:
    limit_threads(1)
    plain = accuracy(None)
    print(f"{'noise multiplier':>16}  {'epsilon':>8}  {'accuracy':>8}")
    print(f"{'none':>16}  {'infinite':>8}  {plain:8.3f}")
    rows = []
    for noise in NOISE_MULTIPLIERS:
        spent = epsilon(((SampledGaussian(noise, SAMPLE_RATE, STEPS), 1),), DELTA)
        rows.append((spent, accuracy(noise)))
        print(f"{noise:16.1f}  {rows[-1][0]:8.2f}  {rows[-1][1]:8.3f}")

    epsilons = [row[0] for row in rows]
    assert epsilons == sorted(epsilons, reverse=True), "more noise must mean a smaller epsilon"
    # The test set has 360 digits: one standard error is 1.6 points at 0.9, so 0.08 is five.
    mild = [row for row in rows if row[0] <= 8]
    assert mild[0][1] > plain - 0.08, "at the first epsilon below 8 privacy must cost less than 8 points"
    assert rows[-1][1] < plain - 0.2, "noise this large must ruin the model, or it was never added"
    print(
        f"\nepsilon {mild[0][0]:.1f} costs {plain - mild[0][1]:.3f} of accuracy; the largest noise ruins it"
    )


if __name__ == "__main__":
    main()
