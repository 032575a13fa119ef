"""What do four defences make of two poisoners who know the defence?

Twelve clients in six masked groups of two. Two of them, each in a group of its own, see all updates, know
the server's rule and its guard, and search every round for the step against everybody else that the rule
lets pass (inner-product manipulation with line search). The attackers are other client objects put in from
outside; the server, the masks and the ten honest clients are the real ones.

    python examples/poisoning.py [PICTURE.png]
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

import securefl
from securefl import config as configuration
from securefl.attacks import named_attack, poisoned

CONFIG = Path(__file__).parent / "configs" / "quickstart.yaml"
ATTACK = named_attack("foe_line_search")
ATTACKERS = 2
ROUNDS = 10
DEFENCES = {
    "mean": "{rule: mean, max_malicious: 2, norm_guard: false}",
    "mean, guarded": "{rule: mean, max_malicious: 2, norm_guard: true}",
    "trimmed mean, guarded": "{rule: trimmed_mean, max_malicious: 2, norm_guard: true}",
    "median, guarded": "{rule: median, max_malicious: 2, norm_guard: true}",
}
SETTING = [
    "privacy={unit: none}",  # no noise on top, so that what is lost is lost to the attack
    "secure_aggregation={group_size: 2, threshold: 2, clip_norm: 3.0, bits: 16, epoch_rounds: 10}",
    f"server={{rounds: {ROUNDS}}}",
    "simulation={dropout: 0.0}",
    "data.partition={kind: iid}",
    "seed=7",
]


def curve(robust: str, attackers: int) -> list[float]:
    """Test accuracy after each round."""
    config = configuration.load(CONFIG, [*SETTING, f"robust={robust}"])
    clients = poisoned(config, ATTACK, attackers)
    with securefl.build_federated_averaging(config, clients=clients) as process:
        state, accuracies = process.initialize(), []
        while not process.finished(state):
            state, metrics = process.next(state)
            accuracies.append(metrics.test_accuracy)
    return accuracies


def draw(curves: dict[str, list[float]], file: str) -> None:
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for (name, values), style in zip(curves.items(), ("k:", "C3-", "C1-", "C0-", "C2-"), strict=True):
        axes.plot(range(1, ROUNDS + 1), values, style, label=f"{name}: {values[-1]:.2f}")
    axes.set(xlabel="round", ylabel="test accuracy", ylim=(0, 1))
    axes.set_title(f"{ATTACKERS} of 12 clients, {ATTACK.name}", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(file, dpi=150)


def main() -> None:
    curves = {"mean, nobody attacks": curve(DEFENCES["mean"], 0)}
    for name, robust in DEFENCES.items():
        curves[name] = curve(robust, ATTACKERS)
    print(f"{'defence':<24}{'accuracy after ' + str(ROUNDS) + ' rounds':>26}")
    for name, values in curves.items():
        print(f"{name:<24}{values[-1]:>26.3f}")
    if len(sys.argv) > 1:
        draw(curves, sys.argv[1])
    last = {name: values[-1] for name, values in curves.items()}
    assert last["mean, nobody attacks"] > 0.8
    assert last["mean"] < 0.3, "a plain mean belongs to whoever lies loudest"
    robust_ones = ("trimmed mean, guarded", "median, guarded")
    assert all(last[name] > last["mean"] + 0.4 for name in robust_ones), "these bound what can be moved"


if __name__ == "__main__":
    main()
