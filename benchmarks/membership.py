"""Does a trained model tell who was in its training data, and does it still with differential privacy?

    make bench-membership                 33 plain models and 17 private ones (about 10 minutes of CPU)
    make bench-membership ARGS=--plain    the plain ones alone; --private: the private ones

Fashion-MNIST: a pool of 10,000 training images; every model trains on a random half of it, 30 passes, an MLP
784-256-10. Some models are attacked in turn, with all others as shadow models. The numbers are true-positive
rates at 0.1 % false positives over 5,000 non-members, averaged over the attacked models. The goals for plain
models were measured once, elsewhere, for such models: an attack that sees much less has a fault.
"""

from __future__ import annotations

import argparse
import sys

import bench
import numpy as np

from securefl.attacks.inference import Hits, area, curve, hits_at, lira, log_probability, margin, rmia
from securefl.crypto import SystemRandomness
from securefl.data import Examples, load
from securefl.privacy import SampledGaussian, epsilon, noise_multiplier_for
from securefl.report import roc_curve
from securefl.training import Learner, LocalSettings, ModelSpec, build_model, get_vector

POOL, POPULATION, EPOCHS = 10_000, 2_000, 30
SPEC = ModelSpec("mlp", hidden=(256,))
SHADOWS, PRIVATE_SHADOWS, TARGETS = 32, 16, 8
EPSILON, DELTA = 8.0, 1e-5
ANCHOR = {"loss": 0.0015, "lira online": 0.022, "lira offline": 0.012}


def plain_settings() -> LocalSettings:
    return LocalSettings(
        steps=EPOCHS * 50, learning_rate=0.1, sample_rate=0.02, expected_batch=100, momentum=0.9
    )


def private_settings() -> LocalSettings:
    steps, rate = EPOCHS * 10, 0.1
    return LocalSettings(
        steps=steps,
        learning_rate=1.0,
        sample_rate=rate,
        expected_batch=rate * POOL / 2,
        clip_norm=1.0,
        noise_multiplier=noise_multiplier_for(EPSILON, DELTA, rate, steps),
    )


class Zoo:
    """Models on random halves of one pool: who trained on what, and what they say of every example."""

    def __init__(self, settings: LocalSettings, count: int, examples: Examples, held_out: Examples) -> None:
        self.members = np.zeros((count, len(examples)), dtype=bool)
        logits, scores, source = [], [], SystemRandomness()
        for at in range(count):
            half = np.random.default_rng([1, at]).permutation(POOL)[: POOL // 2]
            self.members[at, half] = True
            module = build_model(SPEC, examples.shape, 10, seed=at)
            start, learner = get_vector(module), Learner(module, settings)
            update = learner.train(start, examples.take(half), source.stream("s"), source.stream("n"))
            vector = (start + update).astype(np.float32)
            logits.append(learner.logits(vector, examples))
            scores.append((learner.evaluate(vector, examples.take(half)), learner.evaluate(vector, held_out)))
            print(f"model {at + 1} of {count}: {scores[-1][0].accuracy:.3f} / {scores[-1][1].accuracy:.3f}")
            sys.stdout.flush()
        self.accuracy = tuple(float(np.mean([one[side].accuracy for one in scores])) for side in (0, 1))
        self.margins = np.stack([margin(one, examples.labels) for one in logits])
        self.losses = np.stack([log_probability(one, examples.labels) for one in logits])

    def scores(self, target: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Who was in, and the scores of every attack on one model, all others being shadows.

        About those of the pool that have two shadow models or more on each side: with 16, all but a few.
        """
        others = np.arange(len(self.members)) != target
        population = np.arange(self.members.shape[1]) >= POOL
        inside = self.members[others].sum(axis=0)
        pool = np.flatnonzero(~population & (inside >= 2) & (others.sum() - inside >= 2))
        shadows, members = self.margins[others][:, pool], self.members[others][:, pool]
        kept = np.concatenate([pool, np.flatnonzero(population)])
        gains = rmia(
            self.losses[target, kept],
            self.losses[others][:, kept],
            kept >= POOL,
            self.members[others][:, kept],
        )
        return self.members[target, pool], {
            "loss": self.losses[target, pool],
            "lira online": lira.online(self.margins[target, pool], shadows, members),
            "lira offline": lira.offline(self.margins[target, pool], shadows, members),
            "rmia": gains[: len(pool)],
        }


def attacked(zoo: Zoo, name: str, found: bench.Findings) -> dict[str, float]:
    """Rows of the table for all attacks; mean rates by attack."""
    hits: dict[str, list[Hits]] = {}
    areas: dict[str, list[float]] = {}
    for target in range(TARGETS):
        inside, by_attack = zoo.scores(target)
        for attack, scores in by_attack.items():
            hits.setdefault(attack, []).append(hits_at(scores[inside], scores[~inside]))
            areas.setdefault(attack, []).append(area(scores[inside], scores[~inside]))
    low, high = hits["loss"][0].chance()
    for attack, each in hits.items():
        rates = [one.rate for one in each]
        found.figures.append(
            {
                "models": name,
                "attack": attack,
                "TPR at 0.1 %": float(np.mean(rates)),
                "smallest": min(rates),
                "largest": max(rates),
                "chance from": low,
                "chance to": high,
                "AUC": float(np.mean(areas[attack])),
                "non-members": each[0].others,
            }
        )
    found.notes.append(f"{name}: accuracy {zoo.accuracy[0]:.3f} on members, {zoo.accuracy[1]:.3f} on test")
    picture(zoo, name)
    return {attack: float(np.mean([one.rate for one in each])) for attack, each in hits.items()}


def picture(zoo: Zoo, name: str) -> None:
    inside, by_attack = zoo.scores(0)
    curves = {attack: curve(one[inside], one[~inside]) for attack, one in by_attack.items()}
    bench.RESULTS.mkdir(parents=True, exist_ok=True)
    path = bench.RESULTS / f"membership-{name.split()[0]}.png"
    path.write_bytes(roc_curve(f"Membership, {name} models", curves, int((~inside).sum())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plain", action="store_true", help="leave the private models out")
    parser.add_argument("--private", action="store_true", help="leave the plain models out")
    given = parser.parse_args()
    dataset = load("fashion_mnist", seed=0)
    order = np.random.default_rng(0).permutation(len(dataset.train))[: POOL + POPULATION]
    examples, found = dataset.train.take(order), bench.Findings()
    if not given.private:
        rates = attacked(Zoo(plain_settings(), SHADOWS + 1, examples, dataset.test), "plain", found)
        for attack, goal in ANCHOR.items():
            found.checks.append(bench.at_least(f"plain, {attack}", rates[attack], goal, "TPR at 0.1 % FPR"))
    if not given.plain:
        settings = private_settings()
        spent = epsilon(
            ((SampledGaussian(settings.noise_multiplier, settings.sample_rate, settings.steps), 1),), DELTA
        )
        name = f"private (epsilon {spent:.2f})"
        rates = attacked(Zoo(settings, PRIVATE_SHADOWS + 1, examples, dataset.test), name, found)
        highest = float(found.figures[-1]["chance to"])
        for attack, rate in rates.items():
            found.checks.append(bench.at_most(f"private, {attack}", rate, highest, "TPR at 0.1 % FPR"))
        found.notes.append(
            "epsilon is for one example of one model (add or remove), Poisson sampling; shadow models are "
            "the attacker's own and cost nothing"
        )
    found.notes.append("chance: where 95 % of meaningless scores lie, for one model; exact")
    bench.finish_parts("membership", [found])


if __name__ == "__main__":
    main()
