"""What does an agent learn from ten lives that never leave home, beside one life alone and all in one place?

SYNTHETIC dialogues of a grammar: no row is about real data. The base knows the other three domains; the exam
has sentences, values and entities that nobody trained with. --full: all rows; --out FOLDER: goes on there.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from securefl import config as configuration
from securefl.agent.models import Pretraining, marks, pretrained_model
from securefl.attacks import named_attack, poisoned
from securefl.build import build_federated_averaging, lives_of, load_dataset
from securefl.crypto.randomness import SeededRandomness
from securefl.data.dialogues import DOMAINS
from securefl.data.partition import as_one_client
from securefl.examination import examine

GROUP, LORA, PLAIN = "secure_aggregation.group_size=", "model.lora.method=", "privacy={unit: none}"
OPEN = [PLAIN, f"{GROUP}1", "secure_aggregation.threshold=1", "secure_aggregation.masking=false"]
PAIRS = [PLAIN, f"{GROUP}2", "secure_aggregation.threshold=2"]  # masked, and five rows for a rule to compare
TUNED = "personalisation={kind: fine_tune, local_steps: 8, learning_rate: 0.3, held_out: 0.1}"
ATTACK = named_attack("foe", strength=5.0)  # a fifth of the clients: minus five times what the others mean
ROWS = {
    "zero-shot": [PLAIN, "server.rounds=1"],
    "local only": [*OPEN, "clients=1"],
    "centralised": [*OPEN, "clients=1", f"{LORA}fedit"],
    "ffa": [PLAIN],
    "ffa, epsilon 8": ["privacy.epsilon=8"],
    "ffa, poisoned": PAIRS,
    "ffa, poisoned, robust": [*PAIRS, "robust={rule: trimmed_mean, max_malicious: 2}"],
    "fed_sb": [PLAIN, f"{LORA}fed_sb"],
    "fedit, unmasked": [*OPEN, f"{LORA}fedit"],
    "ffa, fine-tuned": [PLAIN, TUNED],
    "ffa, epsilon 3": ["privacy.epsilon=3"],
    "rolora": [PLAIN, f"{LORA}rolora"],
}
SMALL = ["clients=4", f"{GROUP}4", "secure_aggregation.threshold=3", "data.test_per_client=10"]
SMALL += ["server.rounds=6", "training.expected_batch=3", "data.train_per_client=20"]
SHOWN = ("valid_calls", "tool", "arguments", "no_call", "answer", "whole_call")


def row(name: str, file: Path, size: list[str]) -> dict:
    together = configuration.load(file, [*size, PLAIN])
    config = configuration.load(file, [*size, *ROWS[name]])
    lives, data = lives_of(together), load_dataset(together)
    few = np.arange(20) * len(data.test) // 20  # for the score after every round; the exam asks all
    data = replace(data, test=data.test.take(few), test_clients=data.test_clients[few])
    sheets, right, sent, parts = [], [], 0.0, [(data, None)]
    if config.clients == 1:
        owners = np.where(name == "centralised", 0, data.train_clients)
        parts = [(as_one_client(data, np.flatnonzero(owners == one)), [one]) for one in np.unique(owners)]
    clients = poisoned(config, ATTACK, lives.clients // 5) if "poisoned" in name else None
    source = SeededRandomness(b"small") if size[: len(SMALL)] == SMALL else None  # a small table is replayed
    for part, asked in parts:
        with build_federated_averaging(config, clients, dataset=part, randomness=source) as process:
            state = process.initialize()
            while name != "zero-shot" and not process.finished(state):
                state, metrics = process.next(state)
                sent += sum(metrics.record.bytes_up.values()) / lives.clients / config.server.rounds
            sheets += examine(process, state, lives, asked if len(parts) > 1 else None)
            right.append(process.evaluate(state).accuracy)
            spent = {"bytes": sent * (config.clients > 1), "epsilon": process.epsilon()}
    return marks(sheets, lives, config.seed) | spent | {"tokens": float(np.mean(right))}


def main(full: bool, domain: str, folder: Path) -> None:
    others = tuple(other for other in DOMAINS if other != domain)
    base = Pretraining(others, 3000 if full else 200, 64, 2, 150 if full else 20, 700 if full else 60, rows=4)
    size = [*([] if full else SMALL), f"model.path={pretrained_model(folder / 'base', base)}"]
    file, config = folder / "rows.json", Path(__file__).parent / "configs" / f"agent_{domain}.yaml"
    kept = json.loads(file.read_text()) if file.exists() else {}
    print(f"{domain}, SYNTHETIC: {', '.join(SHOWN)}; its worst tenth; leaked; tokens; bytes; epsilon")
    for name in list(ROWS)[: None if full else 4]:
        kept[name] = found = kept.get(name) or row(name, config, size)
        file.write_text(json.dumps(kept, indent=1))
        shares = [found["metrics"][one]["mean"] for one in SHOWN]
        shares += [found["metrics"]["whole_call"]["worst_decile"], found["leakage"]["mean"], found["tokens"]]
        costs = f"{found['bytes']:>9,.0f}{found['epsilon'] or float('inf'):>7.2f}"
        print(f"{name:<22}{''.join(f'{share:>7.3f}' for share in shares)}{costs}", flush=True)
    wins = np.greater(*(kept[name]["by_client"]["whole_call"] for name in ("ffa", "local only"))).mean()
    ours, pooled = (kept[name]["metrics"]["whole_call"]["mean"] for name in ("ffa", "centralised"))
    print(f"ffa: {100 * (ours - pooled):+.1f} points from centralised, above local only for {wins:.0%}")
    assert kept["ffa"]["tokens"] > kept["zero-shot"]["tokens"] + 0.02, "it learns, and no dialogue left home"


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--full", action="store_true")
    options.add_argument("--domain", default="customer_service", choices=DOMAINS)
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    with TemporaryDirectory() as scratch:
        main(given.full, given.domain, given.out or Path(scratch))
