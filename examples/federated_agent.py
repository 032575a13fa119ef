"""What does an agent learn from ten lives that never leave home, beside one life alone and all in one place?

SYNTHETIC dialogues of a grammar: no row is about real data. The base has read public ones of the domain; the
exam has sentences, values and entities that nobody trained with. --full: all rows; --out FOLDER goes on.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from securefl import config as configuration
from securefl.agent.exam import METRICS
from securefl.agent.models import FULL, SMALL, marks, pretrained_model
from securefl.attacks import named_attack, poisoned
from securefl.building import build_federated_averaging, lives_of, load_dataset
from securefl.crypto.randomness import SeededRandomness
from securefl.data.dialogues import DOMAINS
from securefl.data.partition import as_one_client
from securefl.examination import examine
from securefl.training import limit_threads

GROUP, LORA, RATE = "secure_aggregation.group_size=", "model.lora.method=", "server.optimizer.learning_rate="
PLAIN = ["privacy={unit: none}", "server.optimizer={kind: adam, learning_rate: 0.02}"]
OPEN = [*PLAIN, f"{GROUP}1", "secure_aggregation.threshold=1", "secure_aggregation.masking=false"]
PAIRS = [*PLAIN, f"{GROUP}2", "secure_aggregation.threshold=2"]  # masked, and five rows for a rule to compare
ATTACK = named_attack("foe", strength=5.0)  # a fifth of the clients: minus five times what the others mean
ROWS = {
    "zero-shot": [*PLAIN, "server.rounds=1"],
    "local only": [*OPEN, "clients=1", f"{RATE}0.005"],
    "ffa": PLAIN,
    "centralised": [*OPEN, "clients=1", f"{LORA}fedit", f"{RATE}0.01"],
    "ffa, epsilon 8": [],
    "ffa, poisoned": PAIRS,
    "ffa, poisoned, robust": [*PAIRS, "robust={rule: trimmed_mean, max_malicious: 2}"],
    "fed_sb": [*PLAIN, f"{LORA}fed_sb"],
    "fedit, unmasked": [*OPEN, f"{LORA}fedit", f"{RATE}0.01"],
    "ffa, epsilon 3": ["privacy.epsilon=3"],
    "rolora": [*PLAIN, f"{LORA}rolora", f"{RATE}0.01"],
    "ffa, fine-tuned": [*PLAIN, "personalisation={kind: fine_tune, local_steps: 8, learning_rate: 0.3}"],
}
FEW = ["clients=4", f"{GROUP}4", "secure_aggregation.threshold=3", "data.test_per_client=10"]
FEW += ["server.rounds=12", "training.expected_batch=9", "data.train_per_client=60"]


def row(name: str, file: Path, size: list[str], last: tuple[str, ...] = ()) -> dict:
    together, config = (configuration.load(file, [*size, *more, *last]) for more in (PLAIN, ROWS[name]))
    lives, data = lives_of(together), load_dataset(together)
    few = np.arange(20) * len(data.test) // 20  # for the score after every round; the exam asks all
    data = replace(data, test=data.test.take(few), test_clients=data.test_clients[few])
    sheets, right, sent, parts = [], [], 0.0, [(data, None)]
    if config.clients == 1:
        owners = np.where(name == "centralised", 0, data.train_clients)
        parts = [(as_one_client(data, np.flatnonzero(owners == one)), [one]) for one in np.unique(owners)]
    clients = poisoned(config, ATTACK, lives.clients // 5) if "poisoned" in name else None
    source = SeededRandomness(b"small") if size[: len(FEW)] == FEW else None  # a small table is replayed
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
    limit_threads(1)
    base = pretrained_model(folder / "base", replace(FULL if full else SMALL, domains=(domain,)))
    size = [*([] if full else FEW), f"model.path={base}"]
    file, config = folder / "rows.json", Path(__file__).parent / f"configs/agent_{domain}.yaml"
    kept = json.loads(file.read_text()) if file.exists() else {}
    print(f"{domain}, SYNTHETIC: {', '.join(METRICS)}; worst tenth; leaked; tokens; bytes; epsilon")
    for name in list(ROWS)[: None if full else 3]:
        kept[name] = found = kept.get(name) or row(name, config, size)
        file.write_text(json.dumps(kept))
        shares = [found["metrics"][one]["mean"] for one in METRICS]
        shares += [found["metrics"]["whole_call"]["worst_decile"], found["leakage"]["mean"], found["tokens"]]
        costs = f"{found['bytes']:>9,.0f}{found['epsilon'] or float('inf'):>7.2f}"
        print(f"{name:<22}{''.join(f'{share:>7.3f}' for share in shares)}{costs}", flush=True)
    calls = {name: np.array(kept[name]["by_client"]["whole_call"]) for name in kept}
    print(f"ffa makes more whole calls than local only at {(calls['ffa'] > calls['local only']).mean():.0%}")
    if full:
        print(f"points from centralised: {100 * (calls['ffa'] - calls['centralised']).mean():+.1f}")
    tools = [kept[name]["metrics"]["tool"]["mean"] for name in list(ROWS)[:3]]
    assert tools[2] > max(tools[:2]) + 0.02, "it learns from lives that stay at home, and more than from one"


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--full", action="store_true")
    options.add_argument("--domain", default="medical_booking", choices=DOMAINS)
    with TemporaryDirectory() as scratch:
        options.add_argument("--out", type=Path, default=Path(scratch))
        main(*vars(options.parse_args()).values())
