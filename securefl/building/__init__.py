"""The one package that knows both the config and the objects: it builds a run from its terms.

    process = build_federated_averaging("quickstart.yaml")
    state = process.initialize()
    state, metrics = process.next(state)

- `inputs`: the data that a config names, and what reads them.
- `session`: what names a run and says where its own files lie.
- `learners`: the resident model of a process, and personal ones beside it.
- `server_side`, `client_side`: what the server holds constant over a run; the honest clients of one process.
- `assembly`: all of it put together, in this process or with workers.

Rules kept here:
- Objects get numbers from `Terms`, the same that the guarantee card prints.
- `clients` is the seam for everything that is not honest: a function that gets the honest clients
  and returns the parties that really take part. Nothing below this line knows the difference.
- The replayable test source comes in through `randomness` only; it cannot meet a shared ledger.

What this package does NOT do: run directories, files and progress (`securefl.run`).
"""

from securefl.building.assembly import Parties, assemble, build_federated_averaging, refuse_unfit
from securefl.building.client_side import local_update
from securefl.building.inputs import lives_of, load_dataset, tokenizer_of
from securefl.building.learners import build_learner
from securefl.building.server_side import build_setting, central_noise

__all__ = [
    "Parties",
    "assemble",
    "build_federated_averaging",
    "build_learner",
    "build_setting",
    "central_noise",
    "lives_of",
    "load_dataset",
    "local_update",
    "refuse_unfit",
    "tokenizer_of",
]
