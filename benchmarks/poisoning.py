"""Do the attacks work, do the rules hold, where do they break? Envelopes, accuracy, a peer's CPU time.

    make bench-poisoning                          envelopes: 60 clients, groups of 4, every attack
    make bench-poisoning ARGS=--grouped           accuracy of the same federation on Fashion-MNIST, f = 2 .. 7
    make bench-poisoning ARGS="--fashion --byzfl FOLDER"
                                                  the table measured with ByzFL, ours beside ByzFL's own

FOLDER is where `pip install --no-deps --target FOLDER byzfl` has put it; without it the table has our half
only. Finished cells are kept under benchmarks/results/, so a run that was stopped goes on. Intervals:
Student's t at 95 % over seeds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import bench
import numpy as np

from securefl import config as configuration
from securefl.attacks import ATTACKS, Attack, Coalition, judge_of, named_attack, poisoned
from securefl.attacks.arena import Arena, Estimate, Standing, estimate, hold, load, standings
from securefl.attacks.open_rounds import dealt, open_round, open_state
from securefl.building import assemble, build_learner, build_setting, load_dataset, local_update
from securefl.crypto import SystemRandomness
from securefl.errors import RoundAbandoned
from securefl.federation import Client, Party, Stopwatch
from securefl.federation.enrolment import enrol
from securefl.guarantee import Terms, settle
from securefl.run_directory import write_json

CONFIGS = bench.ROOT / "examples" / "configs"
PEER = Path(__file__).with_name("poisoning_peer.py")
BOUND = 7
ROUNDS = 2
MASKED = ("nonfinite", "scaling", "alie_line_search", "foe_line_search", "min_max", "inflated_counts")
QUICK = ("label_flip", "alie", "foe_line_search", "min_max", "mimic")
"""Attacks of the grouped table beyond f = 2."""
ENVELOPE = (
    "clients=60",
    "privacy={unit: none}",
    "secure_aggregation={group_size: 4, threshold: 3, clip_norm: 3.0, bits: 16, epoch_rounds: 2}",
    f"server={{rounds: {ROUNDS}, weights: {{kind: examples, cap: 60}}}}",
    "simulation={dropout: 0.0}",
)
REFERENCE = {
    ("none", "one_class", "mean"): 0.837,
    ("foe x1", "one_class", "mean"): 0.831,
    ("foe x1", "one_class", "trimmed_mean"): 0.135,
    ("foe x1", "one_class", "trimmed_mean_clipping_mixing"): 0.600,
    ("label_flip", "one_class", "mean"): 0.835,
    ("label_flip", "one_class", "trimmed_mean"): 0.125,
    ("label_flip", "one_class", "trimmed_mean_clipping_mixing"): 0.790,
    ("foe x100", "one_class", "mean"): 0.100,
    ("foe x100", "one_class", "trimmed_mean"): 0.406,
    ("foe x100", "one_class", "multi_krum"): 0.824,
}
"""Accuracies that an earlier measurement with ByzFL gave, one seed; the goals of the table."""


def main() -> None:
    """Runs the parts asked for and writes benchmarks/results/poisoning.json."""
    options = _options()
    found = []
    if options.grouped:
        found.append(grouped())
    if options.fashion:
        found.append(fashion(options.byzfl, options.seeds, options.peer_seeds))
    if not found:
        found.append(envelopes())
    parts = "".join(f"_{name}" for name in ("grouped", "fashion") if getattr(options, name))
    bench.finish_parts(f"poisoning{parts}", found)


def envelopes() -> bench.Findings:
    """Every attack, f = 2 .. 8: how far outside the honest group means did a coordinate get?"""
    found = bench.Findings()
    for attackers in range(2, BOUND + 2):
        trim = min(attackers, BOUND)
        gaps = {name: outside(name, attackers, trim) for name in ATTACKS}
        name = max(gaps, key=lambda one: gaps[one])
        found.figures.append(
            {"f": attackers, "trim": trim, "masks": "off", "furthest": name, "outside": gaps[name]}
        )
        what = f"f = {attackers}, trim {trim}: furthest outside honest group means ({name})"
        if attackers <= BOUND:
            found.checks.append(bench.at_most(what, gaps[name], 0.0, "steps"))
        else:
            found.checks.append(bench.at_least(f"{what}, one beyond the bound", gaps[name], 100.0, "steps"))
    gaps = {name: outside(name, BOUND, BOUND, masked=True) for name in MASKED}
    name = max(gaps, key=lambda one: gaps[one])
    found.figures.append({"f": BOUND, "trim": BOUND, "masks": "on", "furthest": name, "outside": gaps[name]})
    what = f"f = {BOUND}, masks on: furthest outside honest group means ({name})"
    found.checks.append(bench.at_most(what, gaps[name], 0.0, "steps"))
    found.notes.append(
        f"{len(ATTACKS)} attacks, {ROUNDS} rounds each; under masks {', '.join(MASKED)}. A step is what one "
        "coordinate of an update is rounded to; the rounding of group means and of the model is taken off. "
        "Negative: inside by that much."
    )
    return found


def outside(name: str, attackers: int, trim: int, masked: bool = False) -> float:
    """The furthest that any coordinate of any round's update got outside the honest group means.

    Units: steps of the encoding, rounding taken off.
    """
    robust = f"robust={{rule: trimmed_mean, max_malicious: {trim}, norm_guard: false}}"
    masking = f"secure_aggregation.masking={str(masked).lower()}"
    config = configuration.load(CONFIGS / "quickstart.yaml", (*ENVELOPE, masking, robust))
    terms = settle(config, load_dataset(config))
    steps = under_masks if masked else in_the_open
    encoding, furthest = terms.encoding, -np.inf
    smallest = min(len(share) for share in terms.shares)
    for rows, before, after in steps(terms, named_attack(name), attackers):
        slack = encoding.step * encoding.cap / min(smallest, encoding.cap) + np.abs(after).max() * 2e-7
        change = after - before
        gap = np.maximum(rows.min(axis=0) - change, change - rows.max(axis=0)).max()
        furthest = max(furthest, float(gap - slack) / encoding.step)
    return furthest


Steps = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Honest group means, model before and model after, round by round."""


def in_the_open(terms: Terms, attack: Attack, attackers: int) -> Steps:
    """The rounds without a wire: the same bits as under masks."""
    config, source = terms.config, SystemRandomness()
    learner, initial = build_learner(terms)
    setting = build_setting(terms, enrol(config.clients, source).roster, "envelope", source)
    honest = {id: local_update(terms, id, source, learner, Stopwatch()) for id in range(config.clients)}
    coalition = Coalition(attack, attackers, "spread", judge_of(config, terms.encoding), 0)
    seats, groups = coalition.join(honest), dealt(config.clients, config.groups)
    state = open_state(setting, initial, groups)
    for round in range(1, ROUNDS + 1):
        coalition.meet((round, 0), groups)
        before = state.model.astype(np.float64)
        state, done = open_round(setting, state, seats)
        if not done:
            raise RoundAbandoned(f"{attack.name}: expected a round that is done")
        yield coalition.honest_rows(), before, state.model.astype(np.float64)


def under_masks(terms: Terms, attack: Attack, attackers: int) -> Steps:
    """The real process, every message and mask of it."""
    witnesses: list[Witness] = []

    def clients(honest: Mapping[int, Client]) -> Mapping[int, Party]:
        parties = poisoned(terms.config, attack, attackers)(honest)
        witnesses.append(Witness(parties))
        return parties

    with assemble(terms, clients) as process:
        state = process.initialize()
        while not process.finished(state):
            before = state.model.astype(np.float64)
            state, metrics = process.next(state)
            if metrics.record.status != "done":
                raise RoundAbandoned(f"{attack.name}: {metrics.record.reason}")
            yield witnesses[0].rows, before, state.model.astype(np.float64)


class Witness:
    """Listens to the coalition and keeps the honest group means of the round."""

    def __init__(self, parties: Mapping[int, Party]) -> None:
        self._coalition = next(iter(parties.values())).coalition  # type: ignore[attr-defined]
        self._words = self._coalition.words
        self._coalition.words = self.words
        self.rows = np.empty((0, 0))

    def words(self, client: int, model: bytes, round: int) -> np.ndarray:
        """Passes on what the coalition answers."""
        words = self._words(client, model, round)
        self.rows = self._coalition.honest_rows()
        return words


def grouped() -> bench.Findings:
    """Accuracy of 15 groups of 4: f = 2 with all attacks and three seeds, f = 3 .. 7 with fewer."""
    found, arena = bench.Findings(), load(CONFIGS / "arena_grouped.yaml")
    for attackers in range(2, BOUND + 1):
        sized = _sized(arena, attackers)
        results = hold(sized, bench.RESULTS / f"arena_grouped_{attackers}", _told)
        for one in standings(results):
            found.figures.extend(_rows(one))
            if (attackers, one.heterogeneity) == (2, "iid"):
                loss = one.unattacked.mean - one.attacked[one.worst].mean
                found.checks.append(
                    bench.at_most(f"f = 2, iid: most lost to an attack ({one.worst})", loss, 0.03, "accuracy")
                )
    return found


def _sized(arena: Arena, attackers: int) -> Arena:
    """The arena with `attackers` attackers and a trim of as many rows."""
    robust = arena.defences[0].robust | {"max_malicious": attackers}
    defence = arena.defences[0].model_copy(update={"robust": robust})
    changes: dict[str, object] = {"attackers": (attackers,), "defences": (defence,)}
    if attackers > 2:
        changes["attacks"] = tuple(one for one in arena.attacks if one.name in QUICK)
        changes["seeds"] = arena.seeds[:1]
    return arena.model_copy(update=changes)


def fashion(byzfl: Path | None, seeds: int, peer_seeds: int) -> bench.Findings:
    """Our table beside ByzFL's: single updates, 10 honest and 2 malicious clients, 400 steps."""
    arena = load(CONFIGS / "arena_fashion.yaml")
    arena = arena.model_copy(update={"seeds": arena.seeds[:seeds]})
    results = hold(arena, bench.RESULTS / "arena_fashion", _told)
    compared = [one for one in results if one["seed"] in arena.seeds[:peer_seeds]]
    peers = [] if byzfl is None else [_peer(byzfl, one) for one in compared]
    found = bench.Findings()
    for one in standings(results):
        for attack, ours in {"none": one.unattacked, **one.attacked}.items():
            place = (attack, one.heterogeneity, one.defence)
            theirs = [r for r in peers if (r["attack"], r["heterogeneity"], r["defence"]) == place]
            mine = [r for r in results if (r["attack"], r["heterogeneity"], r["defence"]) == place]
            found.figures.append(_beside(place, ours, mine, theirs))
    if peers:
        ratio = sum(_cpu(r) for r in compared) / sum(_cpu(r) for r in peers)
        found.notes.append(
            f"CPU time of the {len(peers)} cells played by both, ours over ByzFL's: {ratio:.2f}"
        )
    return found


def _beside(
    place: tuple[str, str, str],
    ours: Estimate,
    mine: Sequence[Mapping[str, object]],
    theirs: Sequence[Mapping[str, object]],
) -> bench.Figure:
    row: bench.Figure = dict(zip(("attack", "heterogeneity", "defence"), place, strict=True))
    row |= {"ours": ours.mean, "+-": ours.half_width, "our cpu s": float(np.mean([_cpu(r) for r in mine]))}
    if theirs:
        peer = estimate([float(str(r["accuracy"])) for r in theirs])
        row |= {"ByzFL": peer.mean, "ByzFL +-": peer.half_width}
        row |= {"ByzFL cpu s": float(np.mean([_cpu(r) for r in theirs]))}
    return row | {"reference": REFERENCE.get(place)}


def _peer(byzfl: Path, result: Mapping[str, object]) -> dict[str, object]:
    """The same cell by ByzFL; kept like our own."""
    key = {name: result[name] for name in ("attack", "defence", "heterogeneity", "seed")}
    path = (
        bench.RESULTS / "byzfl_fashion" / f"{'-'.join(str(v).replace(' ', '_') for v in key.values())}.json"
    )
    if path.exists():
        return json.loads(path.read_text())
    told = subprocess.run(
        [sys.executable, str(PEER), str(byzfl), json.dumps(key)], capture_output=True, text=True, check=True
    )
    found = key | json.loads(told.stdout.strip().splitlines()[-1])
    write_json(path, found)
    print("ByzFL", found, flush=True)
    return found


def _rows(one: Standing) -> list[bench.Figure]:
    cells = {"none": one.unattacked, **one.attacked}
    return [
        {
            "f": one.attackers,
            "heterogeneity": one.heterogeneity,
            "attack": attack,
            "accuracy": cell.mean,
            "+-": cell.half_width,
            "lost": one.unattacked.mean - cell.mean,
            "seeds": cell.seeds,
        }
        for attack, cell in cells.items()
    ]


def _cpu(result: Mapping[str, object]) -> float:
    return float(str(result["cpu_seconds"]))


def _told(done: int, cells: int, words: str) -> None:
    print(f"{done}/{cells} {words}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--grouped", action="store_true", help="accuracy in groups on Fashion-MNIST")
    parser.add_argument("--fashion", action="store_true", help="the table measured with ByzFL")
    parser.add_argument("--byzfl", type=Path, help="folder that holds the byzfl package")
    parser.add_argument("--peer-seeds", type=int, default=3, help="how many of them ByzFL plays too")
    parser.add_argument("--seeds", type=int, default=3, help="how many of the seeds, at most")
    return parser.parse_args()


if __name__ == "__main__":
    main()
