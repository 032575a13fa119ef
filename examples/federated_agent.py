"""What does an agent learn from ten lives that never leave home, beside one life alone and all in one place?

SYNTHETIC dialogues from a grammar: no row says anything about real data. Each client has its own habits, words
and private entities; the base knows the other three domains and not this one. The exam has sentences, values and
entities that nobody trained with. With --out a row is kept as soon as it is ready, and another start goes on.

    python examples/federated_agent.py [--full] [--domain customer_service] [--out FOLDER]
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import securefl
from securefl import config as configuration
from securefl.agent.models import Sheet, marks
from securefl.agent.models.pretraining import Pretraining, pretrained_model
from securefl.attacks import named_attack, poisoned
from securefl.build import lives_of, load_dataset
from securefl.data import Dataset
from securefl.data.dialogues import DOMAINS
from securefl.examination import examine

FULL = [
    "clients=10",
    "secure_aggregation.group_size=10",
    "secure_aggregation.threshold=7",
    "server.rounds=40",
    "training.sample_rate=0.15",
    "training.expected_batch=9",
]
SMALL = [
    "clients=4",
    "secure_aggregation.group_size=4",
    "secure_aggregation.threshold=3",
    "server.rounds=6",
    "data.train_per_client=20",
    "data.test_per_client=10",
    "training.expected_batch=5",
]
NOISELESS, SHARED = ["privacy={unit: none}"], "model.lora.method="
OPEN = [f"secure_aggregation.{each}" for each in ("masking=false", "group_size=1", "threshold=1")]
PAIRS = ["secure_aggregation.group_size=2", "secure_aggregation.threshold=2"]
ATTACK = named_attack(
    "foe", strength=5.0
)  # a fifth of the clients send minus five times what the others mean
ROWS = {
    "zero-shot": NOISELESS,
    "local only": [*NOISELESS, *OPEN, "clients=1"],
    "centralised": [*NOISELESS, *OPEN, "clients=1", f"{SHARED}fedit"],
    "ffa": NOISELESS,
    "ffa, epsilon 8": ["privacy.epsilon=8"],
    "ffa, poisoned": [*NOISELESS, *PAIRS],
    "ffa, poisoned, robust": [*NOISELESS, *PAIRS, "robust={rule: trimmed_mean, max_malicious: 2}"],
    "fed_sb": [*NOISELESS, f"{SHARED}fed_sb"],
    "fedit, unmasked": [*NOISELESS, *OPEN, f"{SHARED}fedit"],
    "ffa, fine-tuned": [
        *NOISELESS,
        "personalisation={kind: fine_tune, local_steps: 8, learning_rate: 0.3, held_out: 0.1}",
    ],
    "ffa, epsilon 3": ["privacy.epsilon=3"],
    "rolora": [*NOISELESS, f"{SHARED}rolora"],
}
IN_CI = ("zero-shot", "local only", "centralised", "ffa")
SHOWN = ("valid_calls", "tool", "arguments", "whole_call", "no_call", "answer")


def row(name: str, file: Path, size: list[str]) -> dict[str, object]:
    """Plays one row and examines it."""
    everybody = configuration.load(file, [*size, *NOISELESS])
    config = configuration.load(file, [*size, *ROWS[name]])
    lives, data = lives_of(everybody), load_dataset(everybody)
    owners, whole = data.train_clients, range(lives.clients)
    few = np.arange(0, len(data.test), lives.test // 5)  # for the score after every round; the exam asks all
    data = replace(data, test=data.test.take(few), test_clients=data.test_clients[few])
    parts = {
        "local only": [(of_one(data, owners == client), [client]) for client in whole],
        "centralised": [(of_one(data, owners >= 0), whole)],
    }.get(name, [(data, whole)])
    clients = poisoned(config, ATTACK, lives.clients // 5) if "poisoned" in name else None
    sheets, right, sent = list[Sheet](), list[float](), 0.0
    for part, asked in parts:
        with securefl.build_federated_averaging(config, clients=clients, dataset=part) as process:
            state = process.initialize()
            while name != "zero-shot" and not process.finished(state):
                state, metrics = process.next(state)
                sent += sum(metrics.record.bytes_up.values()) / metrics.clients / config.server.rounds
            sheets += examine(process, state, lives, asked)
            right.append(process.evaluate(state).accuracy)
            spent = {"bytes": sent if config.clients > 1 else 0.0, "epsilon": process.epsilon()}
    return marks(sheets, lives, config.seed) | spent | {"tokens": float(np.mean(right))}


def of_one(data: Dataset, mine: np.ndarray) -> Dataset:
    """The data of some rows as those of one client."""
    train, test = data.train.take(np.flatnonzero(mine)), np.zeros(len(data.test), dtype=np.int64)
    own = np.zeros(len(train), dtype=np.int64)
    return replace(data, train=train, train_clients=own, test_clients=test, client_names=("one",))


def shown(name: str, found: dict) -> str:
    means = "".join(f"{found['metrics'][metric]['mean']:>12.3f}" for metric in SHOWN)
    spent = "" if found["epsilon"] is None else f"{found['epsilon']:.2f}"
    worst, leaked = found["metrics"]["whole_call"]["worst_decile"], found["leakage"]["mean"]
    return f"{name:<22}{means}{worst:>8.3f}{leaked:>9.4f}{found['tokens']:>8.3f}{found['bytes']:>9,.0f}{spent:>9}"


def play(domain: str, full: bool, folder: Path) -> dict[str, dict]:
    """All rows, those that the folder has already as they are."""
    others = tuple(other for other in DOMAINS if other != domain)
    base = Pretraining(others, 3000, width=64, layers=2, drills=150, steps=700, rows=4)
    base = base if full else replace(base, dialogues=200, drills=20, steps=60)
    size = [*(FULL if full else SMALL), f"model.path={pretrained_model(folder / 'base', base)}"]
    kept, file = {}, folder / "rows.json"
    if file.exists():
        kept = json.loads(file.read_text())
    for name in ROWS if full else IN_CI:
        if name not in kept:
            kept[name] = row(name, Path(__file__).parent / "configs" / f"agent_{domain}.yaml", size)
            file.write_text(json.dumps(kept, indent=1))
        print(shown(name, kept[name]), flush=True)
    return kept


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--full", action="store_true")
    options.add_argument("--domain", default="customer_service", choices=DOMAINS)
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    print(f"{given.domain}, SYNTHETIC\n{'':<22}" + "".join(f"{name:>12}" for name in SHOWN), end="")
    print(f"{'worst':>8}{'leaked':>9}{'tokens':>8}{'bytes':>9}{'epsilon':>9}")
    with TemporaryDirectory() as scratch:
        found = play(given.domain, given.full, given.out or Path(scratch))
    wins = np.greater(*(found[name]["by_client"]["whole_call"] for name in ("ffa", "local only"))).mean()
    whole = {name: each["metrics"]["whole_call"]["mean"] for name, each in found.items()}
    print(
        f"whole calls: ffa {100 * (whole['ffa'] - whole['centralised']):+.1f} points from centralised;",
        end=" ",
    )
    print(f"above local only for {wins:.0%} of clients")


if __name__ == "__main__":
    main()
