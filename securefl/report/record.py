"""A run directory, read once into frozen values that a page can be made of.

Rules kept here:
- The directory may hold less than a finished run: no rounds yet, no summary yet, a last line that a
  crash cut short. What is missing is None or empty, never invented.
- A file that is there and is not what it should be raises `RunDirectoryError` with its name and line.
- Numbers that are not finite are None: nothing downstream plots a NaN.
- Per-client values are read from `simulation_only` and from nowhere else.

What this file does NOT do: judge, recompute or correct what the run recorded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from securefl.errors import RunDirectoryError

Json = Mapping[str, object]


@dataclass(frozen=True)
class Metric:
    """One line of metrics.jsonl. `bytes_up` is the mean over clients, added up over the rounds so far."""

    round: int
    accuracy: float | None
    loss: float | None
    epsilon: float | None
    bytes_up: float | None


@dataclass(frozen=True)
class GroupRecord:
    """What became of one group: `summed`, `aborted`, or `excluded_` and why."""

    group: int
    members: tuple[int, ...]
    survivors: tuple[int, ...]
    status: str
    failure: str | None
    blamed: tuple[int, ...]


@dataclass(frozen=True)
class RoundRecord:
    """One line of rounds.jsonl."""

    round: int
    attempt: int
    status: str
    reason: str | None
    groups: tuple[GroupRecord, ...]
    rows_used: int | None
    update_norm: float | None
    client_loss: Mapping[str, float]
    clip: float | None

    @property
    def abandoned(self) -> bool:
        """Whether the model stayed as it was."""
        return self.status != "done"


@dataclass(frozen=True)
class ClientScore:
    """How the final model does on one named client's test rows."""

    name: str
    accuracy: float
    majority: float | None
    examples: int | None


@dataclass(frozen=True)
class Spread:
    """One model on what clients held out.

    Attributes:
        model: `shared` or `personal`.
        mean: accuracy, over clients.
        worst: of the worst tenth of the clients.
    """

    model: str
    mean: float
    worst: float


@dataclass(frozen=True)
class RunRecord:
    """Everything that the page shows. A None or an empty tuple means: the run did not record it."""

    name: str
    status: str
    private: bool
    simulated: bool
    accuracy: float | None
    loss: float | None
    majority: float | None
    epsilon: float | None
    delta: float | None
    privacy_unit: str | None
    privacy_statement: str | None
    rounds_planned: int | None
    clients: int | None
    groups: int | None
    dropped: int | None
    bytes_per_round: float | None
    seconds: float | None
    seconds_by_phase: Mapping[str, float]
    client_scores: tuple[ClientScore, ...]
    held_out_scores: tuple[Spread, ...]
    metrics: tuple[Metric, ...]
    rounds: tuple[RoundRecord, ...]
    data: Json
    manifest: Json
    guarantee: str
    config: str

    @property
    def rounds_done(self) -> int:
        """Rounds that moved the model."""
        return sum(not line.abandoned for line in self.rounds)

    @property
    def abandoned(self) -> tuple[RoundRecord, ...]:
        """Rounds that left the model unchanged."""
        return tuple(line for line in self.rounds if line.abandoned)


def read(out: Path) -> RunRecord:
    """The record of the run in `out`.

    Raises:
        RunDirectoryError: `out` holds no run, or a file in it is not what a run writes.
    """
    if not (out / "manifest.json").is_file():
        raise RunDirectoryError(
            f"{out} holds no manifest.json, so it is not a run directory; name a folder that "
            "`securefl run CONFIG --out FOLDER` wrote"
        )
    manifest = _object(out / "manifest.json")
    summary = _object(out / "summary.json") if (out / "summary.json").is_file() else {}
    metrics = _lines(out / "metrics.jsonl")
    rounds = tuple(_round(line) for line in _lines(out / "rounds.jsonl"))
    last: Json = metrics[-1] if metrics else {}
    return RunRecord(
        name=_text(summary, "name") or _text(manifest, "name") or out.resolve().name,
        status=_text(summary, "status") or "unfinished",
        private=_private(summary, manifest),
        simulated=summary.get("simulated") is True,
        accuracy=_number(summary or last, "test_accuracy"),
        loss=_number(summary or last, "test_loss"),
        majority=_number(summary, "majority_accuracy"),
        epsilon=_number(summary or last, "epsilon"),
        delta=_number(summary, "delta"),
        privacy_unit=_text(summary, "privacy_unit"),
        privacy_statement=_text(summary, "privacy_statement"),
        rounds_planned=_integer(summary, "rounds"),
        clients=_integer(summary, "clients"),
        groups=_integer(summary, "groups"),
        dropped=_integer(summary, "dropped"),
        bytes_per_round=_number(summary, "bytes_up_per_client_per_round"),
        seconds=_number(summary, "seconds_total"),
        seconds_by_phase=_numbers(summary.get("seconds_by_phase")) or _phases(out / "rounds.jsonl"),
        client_scores=_scores(summary.get("clients_accuracy")),
        held_out_scores=_spreads(_mapping(summary.get("personalisation"))),
        metrics=tuple(map(_metric, metrics)),
        rounds=rounds,
        data=_mapping(manifest.get("data")),
        manifest=manifest,
        guarantee=_file_text(out / "guarantee.md"),
        config=_file_text(out / "config.yaml"),
    )


def _private(summary: Json, manifest: Json) -> bool:
    """Private only where the manifest says so and the summary does not contradict it."""
    return manifest.get("private") is True and summary.get("private", True) is True


def _metric(line: Json) -> Metric:
    return Metric(
        round=_integer(line, "round") or 0,
        accuracy=_number(line, "test_accuracy"),
        loss=_number(line, "test_loss"),
        epsilon=_number(line, "epsilon"),
        bytes_up=_number(line, "bytes_up_per_client"),
    )


def _round(line: Json) -> RoundRecord:
    groups = line.get("groups")
    simulation_only = _mapping(line.get("simulation_only"))
    return RoundRecord(
        round=_integer(line, "round") or 0,
        attempt=_integer(line, "attempt") or 0,
        status=_text(line, "status") or "abandoned",
        reason=_text(line, "reason"),
        groups=tuple(_group(_mapping(group)) for group in groups) if isinstance(groups, list) else (),
        rows_used=_integer(line, "rows_used"),
        update_norm=_number(line, "update_norm"),
        client_loss=_numbers(simulation_only.get("client_loss")),
        clip=_number(line, "clip"),
    )


def _group(group: Json) -> GroupRecord:
    return GroupRecord(
        group=_integer(group, "group") or 0,
        members=_integers(group.get("members")),
        survivors=_integers(group.get("survivors")),
        status=_text(group, "status") or "aborted",
        failure=_text(group, "failure"),
        blamed=_integers(group.get("blamed")),
    )


def _scores(value: object) -> tuple[ClientScore, ...]:
    found = []
    for name, entry in _mapping(value).items():
        score = _mapping(entry)
        accuracy = _number(score, "accuracy")
        if accuracy is not None:
            found.append(ClientScore(name, accuracy, _number(score, "majority"), _integer(score, "examples")))
    return tuple(found)


def _spreads(value: Json) -> tuple[Spread, ...]:
    found = []
    for model in ("shared", "personal"):
        entry = _mapping(value.get(model))
        mean, worst = _number(entry, "mean"), _number(entry, "worst_tenth")
        if mean is not None and worst is not None:
            found.append(Spread(model, mean, worst))
    return tuple(found)


def _phases(path: Path) -> dict[str, float]:
    """Seconds by phase added up over the rounds: what an unfinished run has instead of a summary."""
    total: dict[str, float] = {}
    for line in _lines(path):
        for phase, seconds in _numbers(line.get("seconds")).items():
            total[phase] = total.get(phase, 0.0) + seconds
    return total


def _lines(path: Path) -> list[Json]:
    """The objects of a JSON-lines file; a last line without its newline was cut short and is left out."""
    found: list[Json] = []
    whole, _, _ = _file_text(path).rpartition("\n")
    for number, text in enumerate(whole.split("\n"), start=1):
        if text.strip():
            found.append(_parse(text, f"{path} line {number}"))
    return found


def _object(path: Path) -> Json:
    return _parse(_file_text(path), str(path))


def _parse(text: str, where: str) -> Json:
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise RunDirectoryError(
            f"{where}: expected a JSON object, got text that is none ({error}); "
            "the file was changed after the run, or the disk lost part of it"
        ) from error
    if not isinstance(value, dict):
        raise RunDirectoryError(f"{where}: expected a JSON object, got {type(value).__name__}")
    return value


def _file_text(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunDirectoryError(f"{path}: cannot be read ({error})") from error


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _text(record: Json, key: str) -> str | None:
    value = record.get(key)
    return value if isinstance(value, str) else None


def _number(record: Json, key: str) -> float | None:
    return _finite(record.get(key))


def _integer(record: Json, key: str) -> int | None:
    value = _finite(record.get(key))
    return None if value is None else int(value)


def _integers(value: object) -> tuple[int, ...]:
    entries: Sequence[object] = value if isinstance(value, list) else ()
    return tuple(int(number) for number in map(_finite, entries) if number is not None)


def _numbers(value: object) -> dict[str, float]:
    pairs = ((key, _finite(entry)) for key, entry in _mapping(value).items())
    return {key: number for key, number in pairs if number is not None}


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond the floats
        return None
