"""A run from start to end, in a folder that survives being killed.

Rules kept here:
- Nothing is written before the config, the data and the budget have been checked.
- Resuming first checks that the ledger still continues the one that the last checkpoint pinned.
- Resuming plays the round in flight again against the clients' stored answers: the same bytes, no
  second charge. Killed after any number of rounds, the run ends with the same model.
- Training uses one torch thread, so results do not depend on the number of cores.
- Who owns the folder owns the simulation: it holds the clients' ledger and, while a round is in
  flight, their keys. Both are wiped from it when the run ends.

What this file does NOT do: decide anything about learning (`securefl.federation`).
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from securefl import config as configuration
from securefl import run_directory as folder
from securefl.build import Metrics, Parties, Process, assemble, load_dataset
from securefl.config import Config
from securefl.crypto.randomness import Randomness, SystemRandomness
from securefl.data import Examples
from securefl.errors import DataError, RunDirectoryError
from securefl.federation.checkpoint import state_from_bytes, state_to_bytes
from securefl.federation.enrolment import enrol, enrolment_from_text, enrolment_to_text
from securefl.federation.record import as_json
from securefl.federation.server import State
from securefl.guarantee import Terms, card, model_spec, settle
from securefl.summary import Summary, summarise

if TYPE_CHECKING:
    from torch import nn


class _Facts(BaseModel):
    """What a manifest says of the data; more than these keys is fine."""

    input_shape: tuple[int, ...]
    classes: int
    source_hash: str


Progress = Callable[[Mapping[str, object]], None]

_PACKAGES = ("securefl", "torch", "numpy", "opacus", "dp-accounting", "cryptography", "scikit-learn")


def run(
    config: Config,
    out: Path,
    *,
    clients: Parties | None = None,
    randomness: Randomness | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Plays a whole run into a new folder and returns its summary.

    Args:
        config: the validated config.
        out: a folder that does not exist yet or is empty.
        clients: the seam of `build_federated_averaging`.
        randomness: a replayable source marks the run NOT PRIVATE.
        progress: called after every attempt at a round.

    Raises:
        ConfigError, DataError, BudgetExceeded: before anything is written.
        RunDirectoryError: `out` is occupied.
    """
    folder.refuse_occupied(out)
    terms = settle(config, load_dataset(config))
    source = randomness or SystemRandomness()
    out.mkdir(parents=True, exist_ok=True)
    with folder.held(out):
        manifest = _manifest(terms, source.stream("run id").take(16).hex(), source)
        text = card(terms, source.private)
        folder.write_atomically(out / folder.CONFIG, configuration.dump(config))
        folder.write_atomically(out / folder.CARD, text.markdown())
        folder.write_json(out / folder.CARD_JSON, text.as_dict())
        folder.write_secret(out / folder.IDENTITIES, enrolment_to_text(enrol(config.clients, source)))
        folder.write_json(out / folder.MANIFEST, manifest)
        return _play(terms, out, manifest, clients, source, progress)


def resume(
    out: Path,
    *,
    clients: Parties | None = None,
    randomness: Randomness | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Goes on with a run that was stopped; a finished one only gets its summary again.

    Raises:
        RunDirectoryError: `out` is not a run, or its data or randomness is not the run's.
    """
    manifest = folder.read_json(out / folder.MANIFEST)
    source = randomness or SystemRandomness()
    if manifest["randomness"] != _kind(source):
        raise RunDirectoryError(
            f"{out}: expected the {manifest['randomness']} randomness that the run began with, got the "
            f"{_kind(source)} one; a run under the test source is resumed from Python with that source"
        )
    config = configuration.load(out / folder.CONFIG)
    terms = settle(config, load_dataset(config), run=str(manifest["run_id"]))
    _refuse_other_data(out, manifest, terms)
    with folder.held(out):
        return _play(terms, out, manifest, clients, source, progress)


def load(out: str | Path) -> nn.Module:
    """The trained module of a finished run, in evaluation mode.

    Raises:
        RunDirectoryError: `out` is not the folder of a finished run.
    """
    from securefl.training import build_model, with_arrays

    out = Path(out)
    manifest = folder.read_json(out / folder.MANIFEST)
    config = configuration.load(out / folder.CONFIG)
    facts = _Facts.model_validate(manifest["data"])
    module = build_model(model_spec(config), facts.input_shape, facts.classes, config.seed)
    try:
        arrays = load_file(out / folder.MODEL)
    except (OSError, SafetensorError) as cause:
        raise RunDirectoryError(
            f"{out / folder.MODEL}: expected the model of a finished run ({cause}); finish it with "
            "`securefl resume`"
        ) from cause
    return with_arrays(module, arrays)


def evaluate(out: str | Path, data: Examples) -> dict[str, float]:
    """Scores of a finished run's model on other examples of the same shape and classes.

    Raises:
        DataError: the data does not fit the model.
        RunDirectoryError: `out` is not the folder of a finished run.
    """
    from securefl.training import score

    facts = _Facts.model_validate(folder.read_json(Path(out) / folder.MANIFEST)["data"])
    if data.shape != facts.input_shape or int(data.labels.max(initial=0)) >= facts.classes:
        raise DataError(
            f"expected examples of shape {facts.input_shape} with labels below {facts.classes}, got shape "
            f"{data.shape} with labels up to {data.labels.max(initial=0)}; evaluate on data of the run's kind"
        )
    scores = score(load(out), data)
    return {"test_accuracy": scores.accuracy, "test_loss": scores.loss, "examples": float(scores.examples)}


def _play(
    terms: Terms,
    out: Path,
    manifest: Mapping[str, object],
    clients: Parties | None,
    source: Randomness,
    progress: Progress | None,
) -> Summary:
    from securefl.training import limit_threads

    if (out / folder.SUMMARY).exists():
        (out / folder.IDENTITIES).unlink(missing_ok=True)
        return folder.read_json(out / folder.SUMMARY)
    limit_threads(1)
    enrolment = enrolment_from_text((out / folder.IDENTITIES).read_text(encoding="utf-8"))
    ledger, run_id = out / folder.LEDGER, str(manifest["run_id"])
    with assemble(
        terms, clients, randomness=source, ledger=ledger, run=run_id, enrolment=enrolment
    ) as process:
        state = _last_state(out, process)
        while not process.finished(state):
            state, metrics = process.next(state)
            _commit(out, state, metrics, process.ledger.head())
            if progress is not None:
                progress(_event(terms, metrics))
        _write_model(out, process, state)
        process.forget()
        summary = summarise(terms, out, process, state)
        folder.write_json(out / folder.SUMMARY, summary)
    (out / folder.IDENTITIES).unlink()
    return summary


def _last_state(out: Path, process: Process) -> State:
    path = out / folder.CHECKPOINT
    state = process.initialize()
    if path.exists():
        state = state_from_bytes(path.read_bytes(), state.model.size)
    pinned = out / folder.LEDGER_HEAD
    if pinned.exists() and process.private:
        process.ledger.verify(contains=pinned.read_text(encoding="utf-8"))
    played = state.round + state.spares_used
    folder.truncate_lines(out / folder.ROUNDS, played)
    folder.truncate_lines(out / folder.METRICS, played)
    return state


def _commit(out: Path, state: State, metrics: Metrics, ledger_head: str) -> None:
    before = folder.read_lines(out / folder.METRICS)
    record = metrics.record
    sent = sum(record.bytes_up.values()) / metrics.clients
    line = {
        "round": record.round,
        "attempt": record.attempt,
        "test_accuracy": metrics.test_accuracy,
        "test_loss": metrics.test_loss,
        "epsilon": metrics.epsilon,
        "bytes_up_per_client": (float(str(before[-1]["bytes_up_per_client"])) if before else 0.0) + sent,
        "seconds": sum(record.seconds.values()),
    }
    folder.append_line(out / folder.ROUNDS, as_json(record))
    folder.append_line(out / folder.METRICS, line)
    folder.write_atomically(out / folder.LEDGER_HEAD, ledger_head)
    folder.write_atomically(out / folder.CHECKPOINT, state_to_bytes(state))


def _event(terms: Terms, metrics: Metrics) -> dict[str, object]:
    return {
        "round": metrics.record.round,
        "rounds": terms.config.server.rounds,
        "test_accuracy": metrics.test_accuracy,
        "epsilon": metrics.epsilon,
        "status": metrics.record.status,
    }


def _write_model(out: Path, process: Process, state: State) -> None:
    from securefl.training import named_arrays

    arrays = named_arrays(process.module(state))
    folder.write_atomically(out / folder.MODEL, save(arrays, metadata={"format": "pt"}))


def _manifest(terms: Terms, run_id: str, source: Randomness) -> dict[str, object]:
    data = terms.dataset
    return {
        "run_id": run_id,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "randomness": _kind(source),
        "private": source.private and terms.budget is not None,
        "seed": terms.config.seed,
        "data": {
            "name": data.name,
            "source_hash": data.source_hash,
            "train": len(data.train),
            "test": len(data.test),
            "classes": data.classes,
            "input_shape": list(data.shape),
            "description": data.description,
        },
        "parameters": terms.dim,
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in _PACKAGES},
        "host": {"system": platform.platform(), "processor": platform.machine()},
    }


def _kind(source: Randomness) -> str:
    return "system" if source.private else "replayable"


def _refuse_other_data(out: Path, manifest: Mapping[str, object], terms: Terms) -> None:
    began = _Facts.model_validate(manifest["data"]).source_hash
    if began != terms.dataset.source_hash:
        raise RunDirectoryError(
            f"{out}: the run began on data with hash {began}, the config now gives "
            f"{terms.dataset.source_hash}; restore the data or start a new run"
        )
