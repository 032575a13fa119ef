"""One training step of three models in four ways, for `make bench-privacy`: times in turn, memory each alone.

    python benchmarks/privacy_steps.py mlp ours     the memory of one way, in a process of its own

Models: an MLP 784-256-10, a small CNN on 28 x 28 pixels (16 and 32 channels), and LoRA adapters of rank 8 on
the query and value projections of a random Llama (4 layers, width 128, 32 tokens), read as a classifier by
its last position. Ways: `bare`, a plain torch loop; `plain`, this package's learner without privacy; `ours`,
the same learner with clipping and noise from the operating system; `hooks`, Opacus as its users run it.
Examples are synthetic. Every batch has 256 examples; a call makes five steps, as a client does in a round.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import bench
import numpy as np
import torch
from opacus.grad_sample import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn

from securefl.crypto.randomness import SystemRandomness
from securefl.data import Examples
from securefl.training import Learner, LocalSettings, ModelSpec, build_model, get_vector, limit_threads

BATCH, CLASSES, TOKENS, LENGTH = 256, 10, 500, 32
STEPS = 5
WAYS = ("bare", "plain", "ours", "hooks")

Steps = Callable[[], object]


class LastPosition(nn.Module):
    """A language model as a classifier: tokens in, logits of the last position out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(input_ids=tokens.long()).logits[:, -1, :CLASSES]


def models() -> list[str]:
    """The models that can be built here: an adapter needs the extra `lora`."""
    adapters = ["lora"] if find_spec("peft") and find_spec("transformers") else []
    return ["mlp", "cnn", *adapters]


def build(model: str) -> nn.Module:
    """A fresh model with its weights from a fixed seed."""
    if model == "mlp":
        return build_model(ModelSpec("mlp", hidden=(256,)), (784,), CLASSES, seed=0)
    if model == "cnn":
        return build_model(ModelSpec("cnn", channels=(16, 32)), (28, 28), CLASSES, seed=0)
    return _adapter()


def batch(model: str) -> Examples:
    """One batch of synthetic examples."""
    source = np.random.default_rng(0)
    labels = source.integers(0, CLASSES, BATCH)
    if model == "lora":
        return Examples(source.integers(0, TOKENS, (BATCH, LENGTH)).astype(np.float32), labels)
    shape = (BATCH, 784) if model == "mlp" else (BATCH, 28, 28)
    return Examples(source.standard_normal(shape, dtype=np.float32), labels)


def steps(model: str, way: str) -> Steps:
    """A function that takes `STEPS` steps."""
    limit_threads(bench.THREADS)
    makers: Mapping[str, Callable[[nn.Module, Examples], Steps]] = {
        "bare": _bare,
        "plain": lambda module, examples: _learner(module, examples, private=False),
        "ours": lambda module, examples: _learner(module, examples, private=True),
        "hooks": _hooks,
    }
    return makers[way](build(model), batch(model))


def _bare(module: nn.Module, examples: Examples) -> Steps:
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.01)
    return lambda: _torch_steps(module, optimizer, examples)


def _hooks(module: nn.Module, examples: Examples) -> Steps:
    warnings.filterwarnings("ignore", message="Full backward hook is firing")
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = DPOptimizer(
        torch.optim.SGD(parameters, lr=0.01),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        expected_batch_size=BATCH,
    )
    hooked = GradSampleModule(module)
    return lambda: _torch_steps(hooked, optimizer, examples)


def _torch_steps(module: nn.Module, optimizer: torch.optim.Optimizer, examples: Examples) -> None:
    for _ in range(STEPS):
        features, labels = torch.tensor(examples.features), torch.tensor(examples.labels)
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(features), labels).backward()
        optimizer.step()


def _learner(module: nn.Module, examples: Examples, private: bool) -> Steps:
    settings = LocalSettings(
        steps=STEPS,
        learning_rate=0.01,
        sample_rate=1.0,  # so that the batch is the same for all
        expected_batch=BATCH,
        clip_norm=1.0 if private else None,
        noise_multiplier=1.0 if private else None,
    )
    learner, start, source = Learner(module, settings), get_vector(module), SystemRandomness()
    batches, noise = source.stream("batches"), source.stream("noise")
    return lambda: learner.train(start, examples, batches, noise)


def _adapter() -> nn.Module:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft reads an attribute that transformers is about to rename
        torch.manual_seed(0)
        shape = LlamaConfig(
            vocab_size=TOKENS,
            hidden_size=128,
            intermediate_size=344,
            num_hidden_layers=4,
            num_attention_heads=4,
            use_cache=False,
        )
        adapters = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"])
        return LastPosition(get_peft_model(LlamaForCausalLM(shape), adapters))


def main() -> None:
    """Prints the peak of the resident set over the steps, less what is resident before them."""
    model, way = sys.argv[1:]
    some = steps(model, way)
    before = _resident("VmRSS")
    some()
    print(json.dumps({"extra_bytes": _resident("VmHWM") - before}))


def _resident(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024


if __name__ == "__main__":
    main()
