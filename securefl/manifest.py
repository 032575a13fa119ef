"""What a run is: its id, data, config and randomness, written before anything leaves a client.

Rules kept here: whoever resumes or loads a run reads this file first, and is refused where the config,
the data, the base of a language model or the kind of randomness is no longer the run's.

What this file does NOT do: hold anything secret.
"""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ValidationError

from securefl import config as configuration
from securefl import run_directory as folder
from securefl.config import Config
from securefl.crypto.randomness import Randomness
from securefl.data.examples import Task
from securefl.errors import ConfigError, RunDirectoryError
from securefl.guarantee import Terms, base_hash

_PACKAGES = ("securefl", "torch", "numpy", "opacus", "dp-accounting", "cryptography", "scikit-learn")


class Facts(BaseModel):
    """What a manifest says of the data; more than these keys is fine."""

    input_shape: tuple[int, ...]
    classes: int
    source_hash: str
    task: Task = "classification"


class Base(BaseModel):
    """The language model that a run builds on.

    Attributes:
        path: as the config names it.
        sha256: of the files that it is read from (`securefl.training.fingerprint`).
    """

    path: str
    sha256: str


class Manifest(BaseModel):
    """What resuming and loading need of a manifest; more than these keys is fine.

    Attributes:
        ledger_head: digest of the ledger's last record when the run began; None in manifests that are older
            than this key.
        base: None without a language model, and in manifests that are older than this key: such a run goes on
            with whatever its config names.
    """

    run_id: str
    randomness: str
    config_digest: str
    ledger: str | None
    ledger_head: str | None = None
    data: Facts
    base: Base | None = None


def describe(terms: Terms, run_id: str, source: Randomness, ledger_head: str) -> dict[str, object]:
    """The manifest of a run that begins now, on a ledger whose last record has the digest `ledger_head`.

    Raises:
        ConfigError: a language model whose files nothing could compare later.
    """
    data, base = terms.dataset, base_hash(terms.config)
    if base is None and terms.config.model.kind == "transformer":
        raise ConfigError(
            f"expected a model with its weights in one folder, so that another one shows, got "
            f"{terms.config.model.path!r}; save it again with save_pretrained",
            "model.path",
        )
    return {
        "run_id": run_id,
        "config_digest": configuration.digest(terms.config).hex(),
        "ledger": terms.config.privacy.ledger,
        "ledger_head": ledger_head,
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
            "task": data.task,
            "input_shape": list(data.shape),
            "description": data.description,
            "synthetic": data.synthetic,
        },
        "base": None if base is None else {"path": terms.config.model.path, "sha256": base},
        "parameters": terms.dim,
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in _PACKAGES},
        "host": {"system": platform.platform(), "processor": platform.machine()},
    }


def read(out: Path) -> Manifest:
    """The manifest of the run in `out`.

    Raises:
        RunDirectoryError: missing or damaged.
    """
    try:
        return Manifest.model_validate(folder.read_json(out / folder.MANIFEST))
    except ValidationError as cause:
        raise RunDirectoryError(
            f"{out / folder.MANIFEST}: expected what a run of this version writes, got "
            f"{'.'.join(map(str, cause.errors()[0]['loc']))} missing or of another kind; restore the file or "
            "start a new run"
        ) from cause


def refuse_other_config(out: Path, manifest: Manifest, config: Config) -> None:
    """Raises RunDirectoryError if what the parties agreed on, or their ledger, is no longer the same."""
    if config.privacy.ledger != manifest.ledger:
        expected, got = (path or "none" for path in (manifest.ledger, config.privacy.ledger))
        raise RunDirectoryError(
            f"{out / folder.CONFIG}: privacy.ledger: expected {expected} as at the start, got {got}; put it "
            "back, for it holds what was spent and answered"
        )
    if configuration.digest(config).hex() != manifest.config_digest:
        raise RunDirectoryError(
            f"{out / folder.CONFIG}: expected the config that the run began with, got a changed one; its "
            "noise and its guarantee card are settled, so put the file back or start a new run (engine, "
            "device and data.path may change)"
        )


def refuse_other_data(out: Path, manifest: Manifest, terms: Terms) -> None:
    """Raises RunDirectoryError if the config now gives other data than the run began with."""
    began = manifest.data.source_hash
    if began != terms.dataset.source_hash:
        raise RunDirectoryError(
            f"{out}: the run began on data with hash {began}, the config now gives "
            f"{terms.dataset.source_hash}; restore the data or start a new run"
        )


def refuse_other_base(out: Path, manifest: Manifest, config: Config) -> None:
    """Raises RunDirectoryError if the files of the language model are others than the run began on."""
    began = manifest.base
    if began is None:
        return
    got = base_hash(config)
    if got != began.sha256:
        raise RunDirectoryError(
            f"{out}: expected the base model that the run began on, {began.path} with sha256 {began.sha256}, "
            f"got {'none on this machine' if got is None else f'one with {got}'}; what was trained fits no "
            "other: put its files back, or start a new run"
        )


def refuse_other_randomness(out: Path, manifest: Manifest, source: Randomness) -> None:
    """Raises RunDirectoryError if a private run would go on under a test source, or the other way round."""
    if manifest.randomness != _kind(source):
        raise RunDirectoryError(
            f"{out}: expected the {manifest.randomness} randomness that the run began with, got the "
            f"{_kind(source)} one; a run under the test source is resumed from Python with that source"
        )


def _kind(source: Randomness) -> str:
    return "system" if source.private else "replayable"
