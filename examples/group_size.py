"""How large should a group be: who is hidden among how many, how many poisoners are survived, at what noise?

One dial, three hands. Sixty clients in groups of 4 to 60; in each group one client drops out and two tell
the server what they see (n_c); poisoners sit in the worst places. For each size, from the functions that a
run uses: the honest clients among whom an update is hidden; the most poisoners f that a trimmed mean over
groups bears; and how much more noise the mean needs than one sum over all, if noise for client-level
privacy has to come from the h clients of a group that are sure to be honest (`distributed_noise.py` runs
that). The bound on f is then tried out on made-up group means (synthetic): f liars are borne, f + 1 are
not.

    python examples/group_size.py [PICTURE.png]
"""

import sys
from math import sqrt

import numpy as np
from matplotlib.figure import Figure

from securefl.robust import combine, rows_needed
from securefl.secagg import shape, smallest_threshold

CLIENTS = 60
COLLUDING = 2  # n_c: members of a group that talk to the server
DROPOUTS = 1  # members of a group that vanish in a round
SIZES = (4, 5, 6, 10, 12, 15, 20, 30, 60)
LIE = 1e6


def bears(groups: int) -> int:
    """The most malicious groups, one poisoner in each, that the trimmed mean over `groups` rows bears."""
    return max(f for f in range(groups) if rows_needed("trimmed_mean", f) <= groups)


def hidden_among(size: int) -> int:
    """Honest members whose updates are in the sum with mine, me included, besides those who talk."""
    return size - DROPOUTS - COLLUDING


def sure_shares(size: int) -> int:
    """h: members of a group that are sure to add their noise: t answer, n_c and one poisoner may not."""
    fewest = shape(size, smallest_threshold(size, COLLUDING), COLLUDING, None).survivors
    return fewest - COLLUDING - 1


def furthest(groups: int, liars: int, trim: int) -> float:
    """How far the trimmed mean of synthetic rows gets when `liars` rows lie."""
    rows = np.random.default_rng(0).normal(size=(groups, 50))
    rows[:liars] = LIE
    return float(np.abs(combine("trimmed_mean", trim, rows, np.ones(groups), None).vector).max())


def draw(table: list[tuple[int, int, int, float]], file: str) -> None:
    sizes, hidden, borne, noise = zip(*table, strict=True)
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    names = ("honest clients\nin my sum", "poisoners borne\n(trimmed mean)", "noise, times\nthat of one sum")
    for axes, values, name, colour in zip(panels, (hidden, borne, noise), names, "CCC", strict=True):
        axes.plot(range(len(sizes)), values, f"{colour}0o-")
        for at, value in enumerate(values):
            axes.annotate(
                f"{value:.3g}", (at, value), (0, 6), textcoords="offset points", ha="center", fontsize=8
            )
        axes.set_ylabel(name, fontsize=9)
        axes.set_ylim(0, max(values) * 1.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xticks(range(len(sizes)), sizes)
    panels[-1].set_xlabel(f"clients in a group, of {CLIENTS}")
    figure.savefig(file, dpi=150)


def main() -> None:
    table = []
    print(f"{'size':>5}{'groups':>8}{'hidden among':>14}{'poisoners borne':>17}{'noise':>8}")
    for size in SIZES:
        groups = CLIENTS // size
        noise = sqrt(sure_shares(CLIENTS) / sure_shares(size))
        table.append((size, hidden_among(size), bears(groups), noise))
        print(f"{size:>5}{groups:>8}{table[-1][1]:>14}{table[-1][2]:>17}{noise:>8.2f}")
        most = bears(groups)
        assert furthest(groups, most, most) < 10, "inside the honest rows, whatever the liars send"
        if most + 1 < groups:
            assert furthest(groups, most + 1, most) > LIE / groups, "one more and they have it"
    if len(sys.argv) > 1:
        draw(table, sys.argv[1])
    _, hidden, borne, noise = (np.array(column) for column in zip(*table, strict=True))
    assert (np.diff(hidden) > 0).all() and (np.diff(borne) <= 0).all() and (np.diff(noise) <= 0).all()
    assert borne[-1] == 0, "one group of all hides best and bears nobody"
    print("larger groups hide better and need less noise; smaller ones bear more poisoners: choose one")


if __name__ == "__main__":
    main()
