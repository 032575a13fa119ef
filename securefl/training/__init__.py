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
    from securefl.training.adapters import cross_term_of, with_adapter
    from securefl.training.arrays import named_arrays, with_arrays
    from securefl.training.fingerprint import fingerprint_of
    from securefl.training.flat import get_vector, set_vector
    from securefl.training.learner import Learner, limit_threads
    from securefl.training.loading import read_model
    from securefl.training.models import build_model, is_module
    from securefl.training.scoring import Each, Scores, perplexities, score, score_each
    from securefl.training.tasks import TASKS, Task
    from securefl.training.tokens import model_tokens
    from securefl.training.transformer import build_transformer, layout
    from securefl.training.writing import write_adapter, write_merged

__all__ = [
    "TASKS",
    "Each",
    "Learner",
    "LocalSettings",
    "ModelSpec",
    "Scores",
    "Task",
    "build_model",
    "build_transformer",
    "cross_term_of",
    "fingerprint_of",
    "get_vector",
    "is_module",
    "layout",
    "limit_threads",
    "model_tokens",
    "named_arrays",
    "parameter_count",
    "perplexities",
    "read_model",
    "score",
    "score_each",
    "set_vector",
    "with_adapter",
    "with_arrays",
    "write_adapter",
    "write_merged",
]

_NEEDS_TORCH = {
    "TASKS": "tasks",
    "Task": "tasks",
    "Each": "scoring",
    "Learner": "learner",
    "Scores": "scoring",
    "build_model": "models",
    "get_vector": "flat",
    "is_module": "models",
    "limit_threads": "learner",
    "named_arrays": "arrays",
    "perplexities": "scoring",
    "score": "scoring",
    "score_each": "scoring",
    "set_vector": "flat",
    "with_arrays": "arrays",
}
_NEEDS_LORA = {
    "cross_term_of": "adapters",
    "build_transformer": "transformer",
    "fingerprint_of": "fingerprint",
    "layout": "transformer",
    "model_tokens": "tokens",
    "read_model": "loading",
    "with_adapter": "adapters",
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
