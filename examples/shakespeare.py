"""Does a language model learn a playwright's language from roles that keep their lines to themselves?

Each client is a role of a play; the table is the perplexity of held-out lines. Without arguments the model is
a tiny Llama over bytes that has read synthetic dialogues: a test of code, not of language models. --full is
SmolLM2-135M, long minutes a row: what is ready stays in OUT, and what was stopped goes on.
Run: python examples/shakespeare.py [--full] [--rounds N] [--out FOLDER]
"""

import argparse
import json
import math
import tempfile
from pathlib import Path
from statistics import mean

import torch

from securefl import config as configuration
from securefl.building import build_learner, load_dataset
from securefl.data.dialogues import DOMAINS, PUBLIC, dialogues
from securefl.files import write_atomically
from securefl.guarantee import settle
from securefl.run import load, resume, run
from securefl.training import limit_threads, perplexities
from securefl.training.tiny_llama import tiny_model, tiny_tokenizer

CONFIG = Path(__file__).parent / "configs" / "shakespeare.yaml"
ALONE = "secure_aggregation={masking: false, group_size: 1, threshold: 1, clip_norm: 100.0, bits: 24}"
ONE = ("clients=1", "data.partition.kind=iid", ALONE, "server.optimizer={kind: sgd}")
PRIVATE = "privacy={unit: example, epsilon: 8.0, delta: 1.0e-5, clip_norm: 0.25, spare_releases: 0}"
STEPS = "training={{local_steps: {}, learning_rate: {}, momentum: {}, sample_rate: {}, expected_batch: {}}}"
FULL = {  # about as many passages in each row
    "ffa": (),
    "ffa + DP": (PRIVATE, STEPS.format(1, 7.0, 0.0, 0.0625, 20), "server.rounds=4"),
    "centralised": (*ONE, STEPS.format(16, 1.0, 0.9, 0.003, 8)),
}
TINY = {
    "ffa": (STEPS.format(5, 1.0, 0.0, 0.025, 8), "secure_aggregation.clip_norm=100"),
    "ffa + DP": (PRIVATE, STEPS.format(1, 4.0, 0.0, 0.1, 32), "server.rounds=8"),
    "centralised": (*ONE, STEPS.format(40, 1.0, 0.0, 0.0032, 8)),
}


def small_base(folder: Path) -> str:
    """The tiny Llama after 300 steps on public dialogues, as an override."""
    said = [one for domain in DOMAINS for one in dialogues(domain, 0, PUBLIC, "public", 200)]
    text = "\n".join(part for one in said for part in (*(m.content for m in one.messages[1:]), one.answer))
    ids = torch.tensor(tiny_tokenizer()(text, add_special_tokens=False)["input_ids"])
    model, draws = tiny_model(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(300):
        rows = torch.stack([ids[at : at + 64] for at in torch.randint(len(ids) - 64, (16,), generator=draws)])
        optimizer.zero_grad()
        model(input_ids=rows, labels=rows).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return f"model={{kind: transformer, path: {folder}, max_tokens: 64, lora: {{rank: 8, alpha: 16}}}}"


def row(name: str, overrides: tuple[str, ...], out: Path) -> dict[str, object]:
    """Perplexity by role after a run, or before any for "zero-shot"; and what it cost."""
    config = configuration.load(CONFIG, overrides=list(overrides))
    data, steps, epsilon = load_dataset(config), 0, 0.0
    if name == "zero-shot":
        learner, start = build_learner(settle(config, data))
        module = learner.module(start)
    else:
        folder = out / name.replace(" + ", "_")
        epsilon = (resume(folder) if (folder / "config.yaml").exists() else run(config, folder))["epsilon"]
        module, steps = load(folder), config.training.local_steps * config.server.rounds * config.clients
    found = perplexities(module, data.test, data.test_clients)
    return {"roles": {data.client_names[at]: found[at] for at in found}, "steps": steps, "epsilon": epsilon}


parser = argparse.ArgumentParser()
parser.add_argument("--full", action="store_true")
parser.add_argument("--rounds", type=int)
parser.add_argument("--out", type=Path, default=Path("runs/shakespeare"))
given = parser.parse_args()
limit_threads(1)
with tempfile.TemporaryDirectory() as temporary:
    out, rows = (given.out, FULL) if given.full else (Path(temporary), TINY)
    shared = () if given.full else (small_base(out / "base"), "data.test_fraction=0.1")
    last = () if given.rounds is None else (f"server.rounds={given.rounds}",)
    kept = out / "rows.json"
    table = json.loads(kept.read_text()) if kept.exists() else {}
    for name in {"zero-shot": (), **rows}:
        if name not in table:
            table[name] = row(name, (*shared, *rows.get(name, ()), *last), out)
            write_atomically(kept, json.dumps(table, indent=1))

print(f"{'row':<12} {'steps':>6} {'epsilon':>8} {'mean':>8} {'worst tenth':>12} {'beat zero-shot':>15}")
for name, one in table.items():
    roles, epsilon = one["roles"], "none" if one["epsilon"] is None else f"{one['epsilon']:.2f}"
    better = mean(value < table["zero-shot"]["roles"][role] for role, value in roles.items())
    worst = mean(sorted(roles.values())[-math.ceil(len(roles) / 10) :])
    figures = f"{mean(roles.values()):>8.1f} {worst:>12.1f} {better:>15.0%}"
    print(f"{name:<12} {one['steps']:>6} {epsilon:>8} {figures}")
    assert name != "ffa" or better >= 0.8, "most roles must gain from what others learned"
