"""Learning on one machine: models, flat parameter vectors and local (DP-)SGD.

The only package that imports torch and opacus. Names load on first use, so that
`securefl.training.shapes` and `securefl.training.settings` serve the configuration without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from securefl.training.settings import LocalSettings
from securefl.training.shapes import ModelSpec, parameter_count

if TYPE_CHECKING:
    from securefl.training.admission import require_module
    from securefl.training.arrays import named_arrays, with_arrays
    from securefl.training.flat import get_vector, set_vector
    from securefl.training.learner import Learner, Scores, limit_threads, score
    from securefl.training.models import build_model

__all__ = [
    "Learner",
    "LocalSettings",
    "ModelSpec",
    "Scores",
    "build_model",
    "get_vector",
    "limit_threads",
    "named_arrays",
    "parameter_count",
    "require_module",
    "score",
    "set_vector",
    "with_arrays",
]

_NEEDS_TORCH = {
    "Learner": "learner",
    "Scores": "learner",
    "build_model": "models",
    "get_vector": "flat",
    "limit_threads": "learner",
    "named_arrays": "arrays",
    "require_module": "admission",
    "score": "learner",
    "set_vector": "flat",
    "with_arrays": "arrays",
}


def __getattr__(name: str) -> object:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
