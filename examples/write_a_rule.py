"""How do I write a rule of my own, show that it bears what I claim, and run a federation with it?

The rule here averages the R - f rows that lie nearest to their coordinate-wise median. A rule is a function
from rows and weights to one vector; `OwnRule` adds its name, how f sizes it, and the rows that it needs.

1. The claim: with f of R >= 2 f + 1 rows malicious, every row that counts lies as near to the median as an
   honest one. The table holds it against rows of any length, in the worst of many directions.
2. The same object goes into a whole masked run; the guarantee card says that the claim is its author's.

    python examples/write_a_rule.py
"""

from pathlib import Path

import numpy as np

import securefl
from securefl import config as configuration
from securefl.guarantee import card
from securefl.robust import OwnRule, Rule, combine, median

CONFIG = Path(__file__).parent / "configs" / "quickstart.yaml"
F, ROWS, DIM, DIRECTIONS = 3, 9, 20, 200
LENGTHS = (0.1, 1.0, 10.0, 1e3, 1e6, 1e12)


def near_median_mean(max_malicious: int) -> Rule:
    """The mean of all rows but the f furthest from the median."""

    def rule(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        centre = median()(rows, weights)
        order = np.argsort(np.linalg.norm(rows - centre, axis=1))
        return rows[order[: len(rows) - max_malicious]].mean(axis=0)

    return rule


NEAR_MEDIAN = OwnRule("near_median_mean", near_median_mean, rows_needed=lambda f: 2 * f + 1)


def worst_distance(rule: str | OwnRule, length: float) -> float:
    """How far the result gets from the median, in units of the furthest honest row, over many directions."""
    rng, worst = np.random.default_rng(0), 0.0
    for _ in range(DIRECTIONS):
        rows = rng.normal(size=(ROWS, DIM))
        rows[:F] = length * rng.normal(size=DIM)
        result = combine(rule, F, rows, np.ones(ROWS), norm_bound=None).vector
        centre = median()(rows, np.ones(ROWS))
        furthest = np.linalg.norm(rows[F:] - centre, axis=1).max()
        worst = max(worst, float(np.linalg.norm(result - centre) / furthest))
    return worst


def run_with(rule: OwnRule, rounds: int = 8) -> tuple[float, str]:
    """Accuracy of a masked federation under the rule, and what its card says of it."""
    overrides = [f"server.rounds={rounds}", "simulation={dropout: 0.0}", "privacy={unit: none}"]
    config = configuration.load(CONFIG, overrides=overrides)
    with securefl.build_federated_averaging(config, rule=rule) as process:
        state = process.initialize()
        for _ in range(rounds):
            state, metrics = process.next(state)
        return metrics.test_accuracy, card(process.terms).sections["Malicious clients"][0]


def main() -> None:
    print(f"furthest from the median, in honest distances, with {F} liars of {ROWS} rows (bound: 1)")
    print(f"{'length of the lie':>18}" + "".join(f"{length:>9.0e}" for length in LENGTHS))
    worst = {}
    for rule in ("mean", NEAR_MEDIAN):
        name = rule if isinstance(rule, str) else rule.name
        worst[name] = [worst_distance(rule, length) for length in LENGTHS]
        print(f"{name:>18}" + "".join(f"{value:>9.2g}" for value in worst[name]))
    majority = np.vstack([np.zeros((4, DIM)), np.full((5, DIM), LENGTHS[-1])])
    beyond = np.linalg.norm(combine(NEAR_MEDIAN, F, majority, np.ones(ROWS), norm_bound=None).vector)
    accuracy, said = run_with(NEAR_MEDIAN)
    print(f"five liars of nine, a majority, move it by {beyond:.0e}")
    print(f"accuracy of a masked run under it: {accuracy:.3f}\ncard: {said}")

    # The claim holds for every length, the mean breaks, and a majority of liars breaks the rule too.
    assert max(worst["near_median_mean"]) <= 1.0
    assert worst["mean"][-1] > 1e6
    assert beyond > 1e6
    # The run learns, and the card claims nothing for a rule that it cannot know.
    assert accuracy > 0.8
    assert "its author's word" in said
    print("a rule is a function; what it bears is shown by attacking it, and stays its author's claim")


if __name__ == "__main__":
    main()
