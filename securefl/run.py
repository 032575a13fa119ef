"""A run from start to end, in a folder that survives being killed.

Rules kept here:
- Nothing is written before the config, the data and the budget have been checked.
- The ledger is made before the manifest, which pins its head. A run that has a manifest never starts another
  one: resuming is refused where the file is gone, or does not continue what manifest and checkpoint pinned.
- Resuming plays the round in flight again against the clients' stored answers: the same bytes, no
  second charge. Killed after any number of rounds, the run ends with the same model.
- Training uses one torch thread, so results do not depend on the number of cores.
- Who owns the folder owns the simulation: it holds the clients' ledger and, while a round is in
  flight, their keys. Both are wiped from it when the run ends.

What this file does NOT do: decide anything about learning (`securefl.federation`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from securefl import config as configuration
from securefl import manifest as manifests
from securefl import run_directory as folder
from securefl.building import Parties, assemble, build_learner, load_dataset, refuse_unfit
from securefl.config import Config
from securefl.crypto.randomness import Randomness, SystemRandomness
from securefl.data import Examples
from securefl.errors import BudgetExceeded, ConfigError, DataError, LedgerUnusable, RunDirectoryError
from securefl.federation.checkpoint import state_from_bytes, state_to_bytes
from securefl.federation.enrolment import Enrolment, enrol, enrolment_from_text, enrolment_to_text
from securefl.federation.personal import FOLDER, require_kept
from securefl.federation.record import as_json
from securefl.federation.server import State
from securefl.guarantee import Terms, card, model_spec, settle
from securefl.privacy.ledger import Ledger
from securefl.process import Metrics, Process
from securefl.summary import Summary, read_summary, summarise

if TYPE_CHECKING:
    from torch import nn

    from securefl.training import Each, Scores


class _Group(BaseModel):
    """Whose contributions were summed."""

    survivors: list[int]


class _Contributors(BaseModel):
    """What resuming reads of a line of rounds.jsonl."""

    round: int
    groups: list[_Group]


Progress = Callable[[Mapping[str, object]], None]


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
        ConfigError, DataError, BudgetExceeded, LedgerUnusable: nothing was written, or it was taken back.
        RunDirectoryError: `out` is occupied or cannot be made.
    """
    folder.refuse_occupied(out)
    refuse_unfit(config, randomness or SystemRandomness(), clients)
    terms = settle(config, load_dataset(config))
    build_learner(terms)  # refuses a model or a device that cannot train, before anything is written
    folder.create(out)
    with folder.held(out):
        folder.refuse_occupied(out)  # by a run that came first while this one was settled
        return _begin(terms, out, clients, randomness or SystemRandomness(), progress)


def resume(
    out: Path,
    *,
    clients: Parties | None = None,
    randomness: Randomness | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Goes on with a run that was stopped; a finished one only gets its summary again, anew if damaged.

    Raises:
        RunDirectoryError: `out` is not a run, or its config, data, base or randomness is not the run's.
        LedgerUnusable: its ledger is gone, damaged, or an older copy.
        BudgetExceeded: other runs have spent what this one still needs.
    """
    source = randomness or SystemRandomness()
    if folder.only_begun(out):
        config = configuration.load(out / folder.CONFIG)
        terms = settle(config, load_dataset(config))
        build_learner(terms)
        with folder.held(out):
            return _begin(terms, out, clients, source, progress)
    manifest = manifests.read(out)
    manifests.refuse_other_randomness(out, manifest, source)
    if (summary := _finished(out)) is not None:
        return summary
    config = configuration.load(out / folder.CONFIG)
    manifests.refuse_other_config(out, manifest, config)
    manifests.refuse_other_base(out, manifest, config)
    terms = settle(config, load_dataset(config), run=manifest.run_id)
    manifests.refuse_other_data(out, manifest, terms)
    with folder.held(out):
        if (summary := _finished(out)) is not None:  # by another process in the meantime
            return summary
        if clients is None:
            _require_personal(out, terms, manifest.run_id)
        return _play(_assembled(terms, out, manifest.run_id, clients, source), out, progress)


def load(out: str | Path) -> nn.Module:
    """The trained module of a finished run, in evaluation mode.

    Raises:
        RunDirectoryError: `out` is not the folder of a finished run, or its base is not here any more.
    """
    from securefl.training import build_model, with_arrays

    out = Path(out)
    manifest = manifests.read(out)
    facts, config = manifest.data, configuration.load(out / folder.CONFIG)
    manifests.refuse_other_base(out, manifest, config)
    module = build_model(model_spec(config, facts.task), facts.input_shape, facts.classes, config.seed)
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

    Of a language model that answers, perplexity and the accuracy of a token stand beside those of an example.

    Raises:
        DataError: the data does not fit the model.
        RunDirectoryError: `out` is not the folder of a finished run, or its base is not here any more.
    """
    return as_numbers(evaluate_each(out, data).over())


def evaluate_each(out: str | Path, data: Examples) -> Each:
    """The same, example by example; arguments and errors as for `evaluate`."""
    from securefl.training import TASKS, score_each

    facts = manifests.read(Path(out)).data
    if data.shape != facts.input_shape or int(data.labels.max(initial=0)) >= facts.classes:
        raise DataError(
            f"expected examples of shape {facts.input_shape} with labels below {facts.classes}, got shape "
            f"{data.shape} with labels up to {data.labels.max(initial=0)}; evaluate on data of the run's kind"
        )
    return score_each(load(out), data, TASKS[facts.task])


def as_numbers(scores: Scores) -> dict[str, float]:
    """Scores by name, those that there are."""
    numbers = {"test_accuracy": scores.accuracy, "test_loss": scores.loss, "examples": float(scores.examples)}
    for name in ("perplexity", "token_accuracy", "tokens"):
        value = getattr(scores, name)
        if value is not None:
            numbers[name] = float(value)
    return numbers


def _begin(
    terms: Terms, out: Path, clients: Parties | None, source: Randomness, progress: Progress | None
) -> Summary:
    run_id = source.stream("run id").take(16).hex()
    text = card(terms, source.private)
    folder.write_atomically(out / folder.CONFIG, configuration.dump(terms.config))
    folder.write_atomically(out / folder.CARD, text.markdown())
    folder.write_json(out / folder.CARD_JSON, text.as_dict())
    folder.write_secret(out / folder.IDENTITIES, enrolment_to_text(enrol(terms.config.clients, source)))
    try:
        head = _beginning(terms, out, source)
        folder.write_json(out / folder.MANIFEST, manifests.describe(terms, run_id, source, head))
        process = _assembled(terms, out, run_id, clients, source)
    except (ConfigError, BudgetExceeded, LedgerUnusable):
        # Another run has spent from a shared ledger since the terms were settled; nothing has left a client.
        folder.withdraw(out)
        raise
    return _play(process, out, progress)


def _beginning(terms: Terms, out: Path, source: Randomness) -> str:
    """The head of the ledger that the run begins with, which is made here where there is none."""
    folder.sweep_drafts(out)
    shared = terms.config.privacy.ledger
    with Ledger.open(shared or out / folder.LEDGER, private=source.private) as ledger:
        if shared is None and ledger.records():
            raise RunDirectoryError(
                f"{out}: expected a run that was killed before anything left a client, got a ledger with "
                f"charges and no {folder.MANIFEST}; restore that file or start a new run"
            )
        return ledger.head()


def _assembled(terms: Terms, out: Path, run_id: str, clients: Parties | None, source: Randomness) -> Process:
    from securefl.training import limit_threads

    limit_threads(1)
    ledger, enrolment = out / folder.LEDGER, _enrolment(terms, out, source)
    return assemble(
        terms, clients, randomness=source, ledger=ledger, run=run_id, enrolment=enrolment, create=False
    )


def _require_personal(out: Path, terms: Terms, run_id: str) -> None:
    """Raises RunDirectoryError if a personal model of a round that was played is gone."""
    settings = terms.config.personalisation
    if settings is None or settings.kind == "fine_tune":
        return
    latest = {
        client: line.round
        for line in map(_Contributors.model_validate, folder.read_lines(out / folder.ROUNDS))
        for group in line.groups
        for client in group.survivors
    }
    require_kept(out / FOLDER, run_id, latest)


def _enrolment(terms: Terms, out: Path, source: Randomness) -> Enrolment:
    """The clients' identities; of a run that has finished, which erased them, throw-away ones."""
    if (out / folder.SUMMARY).exists() and not (out / folder.IDENTITIES).exists():
        return enrol(terms.config.clients, source)
    return enrolment_from_text(folder.read_secret(out / folder.IDENTITIES))


def _play(process: Process, out: Path, progress: Progress | None) -> Summary:
    terms = process.terms
    with process:
        state = _last_state(out, process)
        if not process.finished(state):
            folder.read_secret(out / folder.IDENTITIES)  # nobody goes on under throw-away identities
        while not process.finished(state):
            state, metrics = process.next(state)
            _commit(out, state, metrics, process.ledger.head())
            if progress is not None:
                progress(_event(terms, metrics))
        _write_model(out, process, state)
        process.forget()
        summary = summarise(terms, out, process, state)
        folder.write_json(out / folder.SUMMARY, summary)
    (out / folder.IDENTITIES).unlink(missing_ok=True)
    return summary


def _finished(out: Path) -> Summary | None:
    """The summary of a finished run; None where it has none that reads, so that it must be made again."""
    summary = read_summary(out)
    if summary is not None:
        (out / folder.IDENTITIES).unlink(missing_ok=True)
    return summary


def _last_state(out: Path, process: Process) -> State:
    path = out / folder.CHECKPOINT
    state = process.initialize()
    if path.exists():
        state = state_from_bytes(path.read_bytes(), state.model.size)
    pinned = out / folder.LEDGER_HEAD
    if process.private:
        head = pinned.read_text(encoding="utf-8") if pinned.exists() else manifests.read(out).ledger_head
        process.ledger.verify(contains=head)
    played = state.round + state.spares_used
    for name in (folder.ROUNDS, folder.METRICS):
        folder.truncate_lines(out / name, played)
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
    if record.clip is not None:
        line["clip"] = record.clip
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
