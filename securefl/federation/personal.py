"""Personal models: trained at home on a client's own data, kept in a file there, never sent.

Rules kept here:
- What a client sends does not depend on its personal model: it is made first, from the shared model alone.
- A round is trained once however often it is asked: the file keeps the model before its latest round as well,
  so a retry or a resumed run starts from there and ends with the same model.
- Whoever goes on with a run has the personal models of the rounds that were played: none begins anew
  unnoticed.
- Nothing is noised or charged, because nothing leaves. Whoever gets such a file can learn its client's data.

What this file does NOT do: compare models (`securefl.process`), or train (`securefl.training`).

Reference: Li, Hu, Beirami and Smith 2021, "Ditto: Fair and Robust Federated Learning Through
Personalization", Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from securefl.crypto.randomness import Randomness, Stream
from securefl.data.examples import Examples
from securefl.errors import DataError, RunDirectoryError
from securefl.federation.broadcast import received
from securefl.federation.contribution import Contributed, LocalUpdate, Words
from securefl.federation.digest import digest_of
from securefl.federation.feedback import WithFeedback
from securefl.federation.stopwatch import Stopwatch
from securefl.files import write_atomically

Vector = NDArray[np.float32]
FOLDER = "personal"
"""Where the personal models of a run lie, in its own folder."""
_TAG = b"securefl personal model 1"


class PersonalTrainer(Protocol):
    """Learning on one machine, without noise, for a model that stays there."""

    def train(
        self,
        vector: Vector,
        examples: Examples,
        sampling: Stream,
        noise: Stream,
        round: int = 1,
        anchor: Vector | None = None,
    ) -> NDArray[np.float64]:
        """The local update of `vector`, pulled to `anchor`. Shapes: (dim,) -> (dim,)."""


@dataclass(frozen=True)
class PersonalModel:
    """One client's personal model and the file that holds it.

    Attributes:
        client: id of the client, names its streams.
        run: id of the run; the file of another one is refused.
        path: the file; made at the first step.
        trainer: shared between the clients that one process simulates.
        examples: this client's own data, without what is held out.
        randomness: where the batches come from.
    """

    client: int
    run: str
    path: Path
    trainer: PersonalTrainer
    examples: Examples
    randomness: Randomness

    def follow(self, shared: Vector, round: int) -> None:
        """Trains the personal model in a round whose shared model is `shared`, and keeps it.

        A client begins from the shared model that it sees first. Steps that diverge leave it as it was.

        Raises:
            RunDirectoryError: the file is damaged, of another model, or cannot be written.
        """
        before = start_of(self.path, self.run, round, shared)
        write(self.path, self.run, round, before, self.trained(before, shared, round))

    def trained(self, start: Vector, shared: Vector, round: int) -> Vector:
        """`start` after some local steps, pulled to `shared`. Shapes: (dim,), (dim,) -> (dim,)."""
        sampling = self.randomness.stream("personal sampling", self.client, round)
        unused = self.randomness.stream("personal noise", self.client, round)
        try:
            update = self.trainer.train(start, self.examples, sampling, unused, anchor=shared)
        except DataError:
            return start
        after = (start + update).astype(np.float32)
        return after if np.isfinite(after).all() else start

    def beside(self, shared: Vector) -> Vector | None:
        """The model after its latest round, a whole one like `shared`; None if it never trained.

        Raises:
            RunDirectoryError: the file is damaged or of another model.
        """
        return latest(self.path, self.run, shared.size)


@dataclass(frozen=True)
class WithPersonal:
    """A contribution beside which the client's personal model trains.

    Attributes:
        contribution: what is sent; it knows nothing of the personal model.
        personal: the model that stays.
        stopwatch: collects the seconds of personal training.
    """

    contribution: LocalUpdate | WithFeedback
    personal: PersonalModel
    stopwatch: Stopwatch

    def __call__(self, model: bytes, round: int) -> Words | Contributed:
        """What the contribution gives; the personal model has followed."""
        made = self.contribution(model, round)
        with self.stopwatch.measure("personal"):
            shared, _ = received(model, self.contribution.encoding, self.contribution.parameters)
            self.personal.follow(shared, round)
        return made


def file_of(folder: Path, client: int) -> Path:
    """The file of a client's own model."""
    return folder / f"{client}.safetensors"


def require_kept(folder: Path, run: str, latest: Mapping[int, int]) -> None:
    """Returns if the models that were trained are there.

    Args:
        folder: where they lie.
        run: id of the run.
        latest: by client, the latest round that it contributed to.

    Raises:
        RunDirectoryError: one is missing, damaged, or of an earlier round.
    """
    for client, round in latest.items():
        path = file_of(folder, client)
        kept = _read(path, run)
        if kept is None or kept[0] < round:
            raise RunDirectoryError(
                f"{path}: expected the personal model of client {client} after round {round}, got "
                f"{'none' if kept is None else f'one of round {kept[0]}'}; it was trained beside the rounds "
                "that were played and cannot be made again: restore it from a copy, or start a new run"
            )


def start_of(path: Path, run: str, round: int, first: Vector) -> Vector:
    """What a round starts from: what the earlier one left, `first` where there was none.

    Raises:
        RunDirectoryError: the file is damaged, of another model, or of a later round.
    """
    kept = _read(path, run, first.size)
    if kept is None:
        return first
    last, before, after = kept
    if last > round:
        raise RunDirectoryError(
            f"{path}: expected a personal model of round {round} or earlier, got one of {last}; "
            "restore the file that goes with this run's checkpoint"
        )
    return after if last < round else before


def latest(path: Path, run: str, dim: int) -> Vector | None:
    """What the latest round left; None if there was none.

    Raises:
        RunDirectoryError: the file is damaged or of another model.
    """
    kept = _read(path, run, dim)
    return None if kept is None else kept[2]


def write(path: Path, run: str, round: int, before: Vector, after: Vector) -> None:
    """Keeps what a round started from and what it left.

    Raises:
        RunDirectoryError: the file cannot be written.
    """
    arrays: dict[str, NDArray[np.generic]] = {
        "run": np.frombuffer(run.encode(), dtype=np.uint8),
        "round": np.array([round], dtype=np.int64),
        "before": np.ascontiguousarray(before),
        "after": np.ascontiguousarray(after),
    }
    write_atomically(path, save(arrays | {"digest": digest_of(_TAG, arrays)}), secret=True)


def _read(path: Path, run: str, dim: int | None = None) -> tuple[int, Vector, Vector] | None:
    if not path.exists():
        return None
    try:
        arrays = load(path.read_bytes())
        digest = arrays.pop("digest")
        if not np.array_equal(digest, digest_of(_TAG, arrays)):
            raise ValueError("its digest is not that of its contents")
        named, round = arrays["run"].tobytes().decode(), int(arrays["round"][0])
        before, after = arrays["before"], arrays["after"]
    except (OSError, SafetensorError, KeyError, IndexError, ValueError) as cause:
        raise RunDirectoryError(
            f"{path}: expected the personal model of a client, got none that reads ({cause}); restore it "
            "from a copy, or start a new run"
        ) from cause
    wanted = after.shape if dim is None else (dim,)
    if named != run or before.shape != wanted or after.shape != wanted:
        raise RunDirectoryError(
            f"{path}: expected a personal model of this run, {dim or after.size} parameters, got another "
            f"run's or model's with {after.size}; restore it from a copy, or give the run a folder of its own"
        )
    return round, before, after
