"""One liar among ten groups: what do five ways of combining the group means make of it?

Each of ten groups released the mean of its members' updates; in one of them sits a liar. LOUD sends a
huge update the other way; QUIET stays exactly as long as honest clients may be, and points the other
way; BROKEN sends a NaN. The table shows how much of the honest progress is left: 1.00 is all of it,
0.00 none, below zero the model moves backwards. "none" prices the rules without any attack.

The norm guard stops LOUD under any rule and QUIET under none; the trimmed mean and the median bound
what either can do without it. No bound on size stops a lie about direction.

    python examples/robust_rules.py
"""

import numpy as np

from securefl.robust import combine

GROUPS = 10
CLIENTS_PER_GROUP = 4
DIM = 1000
CLIP_NORM = 1.0  # L2 bound of one client's update
SPREAD = 3.0  # how much one client's update differs from the common direction
DECLARED_LIARS = 1  # what the rules are sized for; the liar spoils one group
SETTINGS = [
    ("mean", False),
    ("mean", True),
    ("trimmed_mean", False),
    ("trimmed_mean", True),
    ("median", True),
]
ATTACKS = ("none", "quiet", "loud", "broken")


def honest_updates(rng: np.random.Generator) -> np.ndarray:
    """Shapes: (groups, clients, dim), each update as long as the clip norm."""
    common = rng.normal(size=DIM)
    updates = common + SPREAD * rng.normal(size=(GROUPS, CLIENTS_PER_GROUP, DIM))
    return updates * (CLIP_NORM / np.linalg.norm(updates, axis=2, keepdims=True))


def attacked_rows(updates: np.ndarray, attack: str) -> np.ndarray:
    """The group means that the server gets, the first client of the first group lying."""
    direction = updates.mean(axis=(0, 1))
    direction = direction / np.linalg.norm(direction)
    lies = {"quiet": -CLIP_NORM * direction, "loud": -500.0 * direction, "broken": np.full(DIM, np.nan)}
    updates = updates.copy()
    if attack in lies:
        updates[0, 0] = lies[attack]
    return updates.mean(axis=1)


def progress(vector: np.ndarray, honest: np.ndarray) -> float:
    """The part of the honest mean that `vector` still covers, in its direction."""
    return float(vector @ honest / (honest @ honest))


def main() -> None:
    updates = honest_updates(np.random.default_rng(0))
    honest = updates.mean(axis=(0, 1))
    left: dict[tuple[str, bool, str], float] = {}
    print(f"{'rule':<14}{'guard':<7}" + "".join(f"{attack:>9}" for attack in ATTACKS))
    for rule, guard in SETTINGS:
        for attack in ATTACKS:
            rows = attacked_rows(updates, attack)
            bound = CLIP_NORM if guard else None
            combined = combine(rule, DECLARED_LIARS, rows, np.ones(GROUPS), bound)
            left[rule, guard, attack] = progress(combined.vector, honest)
        cells = "".join(f"{left[rule, guard, attack]:>9.2f}" for attack in ATTACKS)
        print(f"{rule:<14}{'on' if guard else 'off':<7}" + cells)

    # One loud liar turns the plain mean around; the guard removes it, a trim bounds it without a guard.
    assert left["mean", False, "loud"] < 0
    assert left["mean", True, "loud"] > 0.9
    assert left["trimmed_mean", False, "loud"] > 0.7
    # A quiet liar passes the guard: it changes nothing, whatever the rule.
    for rule in ("mean", "trimmed_mean"):
        assert left[rule, True, "quiet"] == left[rule, False, "quiet"] < left[rule, True, "none"]
    # A NaN is removed before any rule, guard or not, and costs its group only.
    assert all(left[rule, guard, "broken"] > 0.9 for rule, guard in SETTINGS)
    # Without an attack every rule keeps nearly everything.
    assert all(left[rule, guard, "none"] > 0.9 for rule, guard in SETTINGS)
    print("one loud liar stops a plain mean only; a quiet one costs every rule a little")


if __name__ == "__main__":
    main()
