"""securefl: federated learning with differential privacy, secure aggregation and robust rules.

Three ways in:
- single primitives: `securefl.crypto`, `securefl.secagg`, `securefl.encoding`, `securefl.robust`,
  `securefl.privacy` (none of them imports torch);
- one process in Python: `build_federated_averaging(config)`, then `initialize` and `next`;
- a whole run from a YAML file: `securefl run CONFIG` on the command line, `load(DIR)` afterwards.

Names load on first use, so that `import securefl` is quick and the primitives stand alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from securefl.errors import SecureFLError

if TYPE_CHECKING:
    from securefl.building import build_federated_averaging
    from securefl.process import Process
    from securefl.run import load

__all__ = ["Process", "SecureFLError", "__version__", "build_federated_averaging", "load"]
__version__ = "0.1.0"

_HOME = {"Process": "process", "build_federated_averaging": "building", "load": "run"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
