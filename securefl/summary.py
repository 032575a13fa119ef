"""A run in one JSON object: what it reached, what it cost, where the time went.

Rules kept here:
- Everything is recomputed from the run's own files and final state, so a resumed run has the same summary
  as an undisturbed one.
- Of the data it reads the server's test set, which the card says is not covered, and with personalisation
  what every client held out. Training examples enter through the model, and epsilon is what that cost.

What this file does NOT do: draw (`securefl.report`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

from securefl import run_directory as folder
from securefl.comparison import compare
from securefl.errors import RunDirectoryError
from securefl.federation.server import State
from securefl.guarantee import Terms, privacy_statement
from securefl.process import Process

Summary = dict[str, object]


class _Written(BaseModel):
    """What every reader of summary.json relies on; more than these keys is fine."""

    name: str
    status: str
    private: bool
    test_accuracy: float
    test_loss: float
    majority_accuracy: float
    epsilon: float | None
    delta: float | None
    privacy_unit: str
    rounds: int
    rounds_done: int
    rounds_abandoned: int
    clients: int
    groups: int
    dropped: int
    bytes_up_per_client_per_round: float
    seconds_total: float
    seconds_by_phase: dict[str, float]


class _Round(BaseModel):
    """What the summary reads of a line of rounds.jsonl."""

    status: str
    dropped: list[int]
    seconds: dict[str, float]


class _Line(BaseModel):
    """What the summary reads of a line of metrics.jsonl."""

    bytes_up_per_client: float
    seconds: float


def summarise(terms: Terms, out: Path, process: Process, state: State) -> Summary:
    """The summary of a run whose rounds have all been played. Times in seconds, losses in nats.

    `dropped` counts client-rounds: each client of a `RoundRecord.dropped` once, in every attempt at a round.
    """
    config = terms.config
    rounds = [_Round.model_validate(line) for line in folder.read_lines(out / folder.ROUNDS)]
    lines = [_Line.model_validate(line) for line in folder.read_lines(out / folder.METRICS)]
    scores, spent = process.evaluate(state), process.epsilon()
    done = sum(record.status == "done" for record in rounds)
    planned = terms.budget.epsilon if process.private and terms.budget is not None else None
    return {
        "name": config.name,
        "status": "finished",
        "private": process.private and terms.budget is not None,
        "simulated": True,
        "synthetic": terms.dataset.synthetic,
        "test_accuracy": scores.accuracy,
        "test_loss": scores.loss,
        "majority_accuracy": terms.dataset.test.majority_share,
        "epsilon": spent,
        "epsilon_planned": planned,
        "delta": config.privacy.delta,
        "privacy_unit": config.privacy.unit,
        "privacy_statement": privacy_statement(terms, spent, process.private),
        "rounds": config.server.rounds,
        "rounds_done": done,
        "rounds_abandoned": config.server.rounds - done,
        "spare_releases_used": state.spares_used,
        "clients": config.clients,
        "groups": config.groups,
        "dropped": sum(len(record.dropped) for record in rounds),
        "bytes_up_per_client_per_round": lines[-1].bytes_up_per_client / len(lines),
        "seconds_total": sum(line.seconds for line in lines),
        "seconds_by_phase": _by_phase(rounds),
        **_by_client(terms, process, state),
        **({} if (personal := compare(process, state)) is None else {"personalisation": personal}),
    }


def read_summary(out: Path) -> Summary | None:
    """The summary that the run in `out` wrote; None if there is none, or none that is whole."""
    if not (out / folder.SUMMARY).exists():
        return None
    try:
        summary = folder.read_json(out / folder.SUMMARY)
        _Written.model_validate(summary, strict=True)
    except (RunDirectoryError, ValidationError):
        return None
    return summary


def _by_phase(rounds: list[_Round]) -> dict[str, float]:
    phases: dict[str, float] = {}
    for record in rounds:
        for phase, seconds in record.seconds.items():
            phases[phase] = phases.get(phase, 0.0) + seconds
    return phases


def _by_client(terms: Terms, process: Process, state: State) -> Summary:
    """Test scores per natural client (a hospital), against always answering its majority class there."""
    data = terms.dataset
    if data.test_clients is None or data.client_names is None:
        return {}
    table: Summary = {}
    for client, name in enumerate(data.client_names):
        test = data.test.take(np.flatnonzero(data.test_clients == client))
        table[name] = {
            "accuracy": process.learner.evaluate(state.model, test).accuracy,
            "majority": test.majority_share,
            "examples": len(test),
        }
    return {"clients_accuracy": table}
