"""Can somebody with the finished model tell who was in its training data, and does DP-SGD stop that?

A hundred digits get a wrong label, and a coin puts half of them into the training data. A model that learns
them by heart is sure of a wrong label only where it saw it. Attack: LiRA with shadow models (offline, fixed
variance), about the same records. Epsilon is for adding or removing one example, at delta = 1e-5.
"""

import numpy as np

from securefl.attacks.inference import area, lira, margin
from securefl.attacks.inference.wagers import wager
from securefl.crypto import SystemRandomness
from securefl.data import Dataset, Examples, load
from securefl.privacy import noise_multiplier_for
from securefl.training import Learner, LocalSettings, ModelSpec, build_model, get_vector, limit_threads

RECORDS = 100
SHADOWS = 8
STEPS = 120
SAMPLE_RATE = 0.25
EPSILON, DELTA = 1.0, 1e-5
REPEATS = 5


def settings(private: bool) -> LocalSettings:
    return LocalSettings(
        steps=STEPS,
        learning_rate=1.0,
        sample_rate=SAMPLE_RATE,
        expected_batch=100.0,
        clip_norm=1.0 if private else None,
        noise_multiplier=noise_multiplier_for(EPSILON, DELTA, SAMPLE_RATE, STEPS) if private else None,
    )


def trained(data: Dataset, records: Examples, private: bool, seed: int) -> tuple[np.ndarray, float]:
    """Margins of the records under a model of `data`, and its test accuracy."""
    module = build_model(ModelSpec("mlp", hidden=(128,)), data.shape, data.classes, seed)
    start, learner, source = get_vector(module), Learner(module, settings(private)), SystemRandomness()
    update = learner.train(start, data.train, source.stream("batches"), source.stream("noise"))
    vector = (start + update).astype(np.float32)
    return margin(learner.logits(vector, records), records.labels), learner.evaluate(
        vector, data.test
    ).accuracy


def attacked(private: bool, seed: int) -> tuple[float, float]:
    """(area under the attack's curve, test accuracy): 0.5 is guessing."""
    data = load("digits", test_fraction=0.75, seed=0)
    game = wager(data, RECORDS, np.random.default_rng(seed))
    records = game.records
    target, accuracy = trained(game.dataset, records, private, seed)
    # The attacker knows the records and tosses coins of its own for its shadow models, four on each side.
    members = np.random.default_rng([seed, 1]).permuted(np.indices((SHADOWS, RECORDS))[0] % 2 == 0, axis=0)
    ordinary = game.dataset.train.take(np.flatnonzero(~is_among(game.dataset.train, records)))
    shadows = [
        trained(with_records(data, ordinary, records, inside), records, private, 1000 + at)[0]
        for at, inside in enumerate(members)
    ]
    scores = lira.offline(target, np.stack(shadows), members)
    return area(scores[game.inside], scores[~game.inside]), accuracy


def is_among(examples: Examples, records: Examples) -> np.ndarray:
    known = {row.tobytes() for row in records.features}
    return np.array([row.tobytes() in known for row in examples.features])


def with_records(data: Dataset, ordinary: Examples, records: Examples, inside: np.ndarray) -> Dataset:
    features = np.concatenate([ordinary.features, records.features[inside]])
    labels = np.concatenate([ordinary.labels, records.labels[inside]])
    return Dataset.of_arrays(
        "shadow", (features, labels), (data.test.features, data.test.labels), data.classes, data.source_hash
    )


def main() -> None:
    limit_threads(1)
    print(f"{'training':<22}{'area of the attack':>20}{'test accuracy':>16}")
    found = {}
    for private, name in ((False, "plain"), (True, f"DP-SGD, epsilon {EPSILON:g}")):
        runs = [attacked(private, seed) for seed in range(REPEATS)]
        found[private] = float(np.mean([one[0] for one in runs]))
        print(f"{name:<22}{found[private]:>20.3f}{np.mean([one[1] for one in runs]):>16.3f}")
    assert found[False] > 0.75, "without privacy the attack must work, or it shows nothing"
    # The mean of five areas deviates by 0.026, if scores mean nothing, and lies six of these below the bound.
    assert found[True] - 0.5 < (found[False] - 0.5) / 2, "DP-SGD must take away half of what it sees"


if __name__ == "__main__":
    main()
