"""Learning on one machine: models, flat parameter vectors and local (DP-)SGD.

The only package that imports torch and opacus. Names load on first use, so that
`securefl.training.shapes` and `securefl.training.settings` serve the configuration without torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from securefl.errors import ConfigError
from securefl.training.settings import LocalSettings
from securefl.training.shapes import ModelSpec, parameter_count

if TYPE_CHECKING:
    from securefl.training.adapters import cross_term_of
    from securefl.training.arrays import named_arrays, with_arrays
    from securefl.training.flat import get_vector, set_vector
    from securefl.training.learner import Learner, Scores, limit_threads, score
    from securefl.training.models import build_model, is_module
    from securefl.training.perplexity import perplexities
    from securefl.training.tasks import TASKS, Task
    from securefl.training.tokens import model_tokens
    from securefl.training.transformer import build_transformer, layout
    from securefl.training.writing import write_adapter, write_merged

__all__ = [
    "TASKS",
    "Learner",
    "LocalSettings",
    "ModelSpec",
    "Scores",
    "Task",
    "build_model",
    "build_transformer",
    "cross_term_of",
    "get_vector",
    "is_module",
    "layout",
    "limit_threads",
    "model_tokens",
    "named_arrays",
    "parameter_count",
    "perplexities",
    "score",
    "set_vector",
    "with_arrays",
    "write_adapter",
    "write_merged",
]

_NEEDS_TORCH = {
    "TASKS": "tasks",
    "Task": "tasks",
    "Learner": "learner",
    "Scores": "learner",
    "build_model": "models",
    "get_vector": "flat",
    "is_module": "models",
    "limit_threads": "learner",
    "named_arrays": "arrays",
    "perplexities": "perplexity",
    "score": "learner",
    "set_vector": "flat",
    "with_arrays": "arrays",
}
_NEEDS_LORA = {
    "cross_term_of": "adapters",
    "build_transformer": "transformer",
    "layout": "transformer",
    "model_tokens": "tokens",
    "write_adapter": "writing",
    "write_merged": "writing",
}
_EXTRA = ("transformers", "peft")


def __getattr__(name: str) -> object:
    if name not in _NEEDS_TORCH and name not in _NEEDS_LORA:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _NEEDS_LORA and not all(map(find_spec, _EXTRA)):
        raise ConfigError(
            f"expected the packages {' and '.join(_EXTRA)} for language models, got none of one; type "
            "`pip install securefl[lora]`",
            "model.kind",
        )
    return getattr(import_module(f"{__name__}.{(_NEEDS_TORCH | _NEEDS_LORA)[name]}"), name)
