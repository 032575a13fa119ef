"""A small Llama that was trained on the public part of the grammar: the base of federated agents.

Rules kept here:
- SYNTHETIC, and the public part only: no client's entity of the seed, no sentence of a test part.
- A folder says how it was made and is taken as it is when that is what is asked for; else it is refused,
  never overwritten. That file is written last: a folder without it is not finished.
- Killed anywhere, it goes on from its checkpoint, with the weights that an unbroken run has.

What this file does NOT do: promise equal weights on two machines, or with another number of threads: sums are
then taken in another order.

Reference: Loshchilov and Hutter 2017, "SGDR", section 3 (cosine); 2019, "Decoupled Weight Decay",
Algorithm 2.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from transformers import LlamaForCausalLM

from securefl.agent.models.copying import copying_llama
from securefl.agent.models.lessons import Batch, Lessons
from securefl.agent.models.small import small_config, small_tokenizer
from securefl.data.dialogues import DESCRIPTION
from securefl.errors import ConfigError, DataError
from securefl.files import write_atomically

Progress = Callable[[int, int, float], None]
"""Steps done, steps in all, loss of the last one."""
_SEED = 0
"""The public seed of everything here; that of the tokenizer's texts too."""
_CARD, _CHECKPOINT, _README = "pretraining.json", "pretraining.safetensors", "README.md"
_KEEP, _CLIP = 50, 1.0
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_BETAS, _DECAY, _WARM, _LEAST = (0.9, 0.98), 0.01, 30, 0.05


@dataclass(frozen=True)
class Pretraining:
    """What is trained on what, and how long.

    Attributes:
        domains: whose public dialogues.
        dialogues: how many different ones of each domain.
        drills: steps of copying alone, at the beginning.
        steps: steps of dialogues after them.
        rows: rows of dialogues in a step, each with `turns` dialogues of one domain.
        drill_batch: drills in one of the first steps; a quarter of them in a later one.

    Raises:
        ConfigError: one layer.
    """

    domains: tuple[str, ...]
    dialogues: int
    width: int
    layers: int
    drills: int
    steps: int
    rows: int
    turns: int = 6
    drill_batch: int = 32
    heads: int = 4
    head_width: int = 32
    context: int = 640
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        if self.layers < 2:
            raise ConfigError(
                f"expected at least 2 layers, which copying takes, got {self.layers}; ask for more", "layers"
            )

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.drills + self.steps


SMALL = Pretraining(("medical_booking",), 2000, width=64, layers=2, drills=150, steps=350, rows=3)
"""For continuous integration: about 50 seconds of one core."""
FULL = Pretraining(("medical_booking",), 4000, width=96, layers=3, drills=200, steps=700, rows=4)
"""About three minutes of one core for each domain; `dataclasses.replace` names others."""


def pretrained_model(folder: Path, settings: Pretraining, progress: Progress | None = None) -> Path:
    """Writes tokenizer, chat template, config and trained weights, or finds them there.

    Args:
        folder: where to: an empty one, a finished one, or one that was killed.
        settings: `SMALL`, `FULL` or your own.
        progress: is told after every step.

    Raises:
        DataError: the folder holds something else, or was made with other settings.
        RunDirectoryError: it cannot be written.
    """
    tokenizer = small_tokenizer()
    recipe = _recipe(settings, tokenizer.backend_tokenizer.to_str())
    if _finished(folder, recipe):
        return folder
    config = small_config(
        settings.width, settings.layers, settings.context, settings.heads, settings.head_width
    )
    trainer = _Trainer(copying_llama(config, _SEED), settings)
    begin = trainer.restore(folder / _CHECKPOINT, recipe)
    lessons = Lessons(tokenizer, settings.domains, settings.dialogues, _SEED)
    for step in range(begin, settings.total):
        loss = trainer.step(step, _batch(lessons, settings, step))
        if progress is not None:
            progress(step + 1, settings.total, loss)
        if (step + 1) % _KEEP == 0:
            write_atomically(folder / _CHECKPOINT, trainer.checkpoint(step + 1, recipe))
    tokenizer.save_pretrained(folder)
    trainer.model.eval().save_pretrained(folder)
    write_atomically(folder / _README, _readme(settings))
    write_atomically(folder / _CARD, recipe)
    (folder / _CHECKPOINT).unlink(missing_ok=True)
    return folder


class _Trainer:
    """A model, its optimiser, and both as bytes."""

    def __init__(self, model: LlamaForCausalLM, settings: Pretraining) -> None:
        self.model = model.train()
        self._settings = settings
        self._weights = list(model.parameters())
        self._optimiser = torch.optim.AdamW(self._weights, betas=_BETAS, weight_decay=_DECAY)

    def step(self, step: int, batch: Batch) -> float:
        """One step; the loss before it."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._settings.learning_rate * _schedule(step / self._settings.total, step)
        loss = _loss(self.model, batch)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._weights, _CLIP)
        self._optimiser.step()
        return float(loss.detach())

    def checkpoint(self, done: int, recipe: str) -> bytes:
        """Everything that the next step depends on."""
        kept = {f"weight.{at}": weight.detach() for at, weight in enumerate(self._weights)}
        for at, weight in enumerate(self._weights):
            state = self._optimiser.state[weight]
            kept |= {f"{name}.{at}": state[name] for name in _MOMENTS}
        return save(kept, {"done": str(done), "recipe": recipe})

    def restore(self, path: Path, recipe: str) -> int:
        """Takes up a checkpoint; the steps that are done, 0 without one."""
        if not path.is_file():
            if path.parent.is_dir() and any(path.parent.iterdir()):
                raise DataError(f"{path.parent}: expected an empty folder, got other files; name another")
            return 0
        kept, done = _read(path, recipe)
        if done > self._settings.total:
            raise _damaged(path, f"{done} of {self._settings.total} steps done")
        for at, weight in enumerate(self._weights):
            found = {name: kept.get(f"{name}.{at}") for name in ("weight", *_MOMENTS)}
            shapes = {name: weight.shape for name in found} | {"step": torch.Size()}
            if any(one is None or one.shape != shapes[name] for name, one in found.items()):
                raise _damaged(path, f"tensors of parameter {at}")
            with torch.no_grad():
                weight.copy_(found.pop("weight"))
            self._optimiser.state[weight] = found
        return done


def _schedule(done: float, step: int) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * done))
    return min(1.0, (step + 1) / _WARM) * (_LEAST + (1 - _LEAST) * cosine)


def _batch(lessons: Lessons, settings: Pretraining, step: int) -> Batch:
    if step < settings.drills:
        return lessons.drills(step, settings.drill_batch)
    return lessons.dialogues(step, settings.rows, settings.turns, settings.drill_batch // 4)


def _loss(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    logits = model(
        input_ids=batch.tokens, position_ids=batch.places, attention_mask=batch.sees, use_cache=False
    ).logits
    each = torch.nn.functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), batch.tokens[:, 1:], reduction="none"
    )
    weights = batch.weights[:, 1:]
    return (each * weights).sum() / weights.sum()


def _recipe(settings: Pretraining, tokenizer: str) -> str:
    from securefl import __version__

    made = {
        "data": DESCRIPTION,
        "part": "public",
        "seed": _SEED,
        "securefl": __version__,
        "settings": asdict(settings),
        "tokenizer_sha256": sha256(tokenizer.encode()).hexdigest(),
    }
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def _finished(folder: Path, recipe: str) -> bool:
    card = folder / _CARD
    if not card.is_file():
        return False
    if card.read_text(encoding="utf-8") != recipe:
        raise DataError(
            f"{folder}: expected a model made with these settings by this version, got another ({_CARD} says "
            "which); remove the folder or name another"
        )
    return True


def _read(path: Path, recipe: str) -> tuple[dict[str, Tensor], int]:
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            said = file.metadata() or {}
        kept = load(path.read_bytes())
    except (SafetensorError, OSError) as cause:
        raise _damaged(path, cause) from cause
    if said.get("recipe") != recipe:
        raise DataError(
            f"{path}: expected a checkpoint of these settings by this version, got another; remove the "
            "folder or name another"
        )
    done = said.get("done", "")
    if not done.isdecimal():
        raise _damaged(path, "how many steps are done")
    return kept, int(done)


def _damaged(path: Path, what: object) -> DataError:
    return DataError(f"{path}: expected a checkpoint, got a damaged one ({what}); remove it")


def _readme(settings: Pretraining) -> str:
    return (
        "# A small Llama for agents\n\n"
        f"SYNTHETIC. Trained by securefl on the public part of its grammar of dialogues, seed {_SEED}: "
        f"{', '.join(settings.domains)}; and on drills in copying. No text of real people, no client's name "
        f"or code of that seed, no sentence of a test part. {_CARD} says how. It knows nothing else.\n"
    )
