"""What does one of twelve clients do to the model if it sends its update times -10?

The same federation four times: plain mean and trimmed mean, each with the norm guard off and on. The
bad client is another object put in from outside; nothing in securefl knows about it. Masks are on, so
the server never sees who it was: a whole group is bent, and the rule works on group means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import securefl
from securefl import config as configuration
from securefl.crypto import SystemRandomness
from securefl.encoding import quantise
from securefl.federation import Client, LocalUpdate

SEED = 7
BAD_CLIENT = 3
FACTOR = -10.0
CONFIG = Path(__file__).parent / "configs" / "quickstart.yaml"


@dataclass(frozen=True)
class Inverted:
    """Sends the honest client's update times a factor, past its clip."""

    honest: LocalUpdate

    def __call__(self, model: bytes, round: int):
        update = FACTOR * self.honest.update(np.frombuffer(model, dtype="<f4"), round)
        rounding = SystemRandomness().stream("rounding")
        return quantise(update, self.honest.encoding.step, rounding, self.honest.encoding.dtype)


def with_bad_client(honest: Mapping[int, Client]) -> dict[int, Client]:
    bad = honest[BAD_CLIENT]
    return {**honest, BAD_CLIENT: replace(bad, contribution=Inverted(bad.contribution))}


def accuracy(rule: str, guard: bool, seed: int = SEED) -> float:
    config = configuration.load(
        CONFIG,
        overrides=[
            f"seed={seed}",
            f"robust.rule={rule}",
            f"robust.norm_guard={str(guard).lower()}",
            "simulation={dropout: 0.0}",
        ],
    )
    with securefl.build_federated_averaging(config, clients=with_bad_client) as process:
        state = process.initialize()
        while not process.finished(state):
            state, _ = process.next(state)
        return process.evaluate(state).accuracy


def main() -> None:
    print(f"{'rule':<14}{'guard off':>10}{'guard on':>10}")
    table = {}
    for rule in ("mean", "trimmed_mean"):
        table[rule] = (accuracy(rule, guard=False), accuracy(rule, guard=True))
        print(f"{rule:<14}{table[rule][0]:>10.3f}{table[rule][1]:>10.3f}")
    assert table["mean"][0] < 0.5, "without a guard the plain mean should have collapsed"
    assert table["trimmed_mean"][0] > table["mean"][0] + 0.2, "the trimmed mean should have held"
    assert min(table["mean"][1], table["trimmed_mean"][1]) > 0.7, "with the guard both should live"


if __name__ == "__main__":
    main()
