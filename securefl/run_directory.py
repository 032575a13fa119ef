"""The folder of a run: what is written when, so that a kill at any point loses nothing.

Rules kept here:
- A folder that holds anything else is never written to; one process at a time holds it.
- Whole files are replaced atomically (temporary file, fsync, rename, fsync of the folder).
- The checkpoint is the commit point of a round: records and metrics are appended before it, and
  lines beyond it are dropped when the run is resumed, because that round will be played again.

What this file does NOT do: know what a round is.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from securefl.errors import RunDirectoryError
from securefl.files import write_atomically as write_atomically  # part of this room, made below

CONFIG, MANIFEST, METRICS, ROUNDS = "config.yaml", "manifest.json", "metrics.jsonl", "rounds.jsonl"
LEDGER, CHECKPOINT, MODEL = "ledger.sqlite", "checkpoint/state.safetensors", "model.safetensors"
IDENTITIES, LEDGER_HEAD = "identities.json", "checkpoint/ledger_head"
SUMMARY, CARD, CARD_JSON = "summary.json", "guarantee.md", "guarantee.json"
_LOCK = ".lock"
_EMPTY = {_LOCK, f"{CONFIG}.part"}
"""What a run that was killed before it wrote anything leaves behind."""
_SETTLED = (CONFIG, CARD, CARD_JSON, IDENTITIES)
_BEGINNING = _EMPTY | {*_SETTLED, *(f"{name}.part" for name in (*_SETTLED, MANIFEST))}
_LEDGER_BEGINNING = (LEDGER, f"{LEDGER}-journal")
_LEDGER_DRAFT = f".{LEDGER}."
"""What may lie in the folder before the manifest does: files, an empty ledger, and drafts of one."""


def refuse_occupied(out: Path) -> None:
    """Raises RunDirectoryError if `out` is a file or a folder with anything in it."""
    if out.is_file():
        raise RunDirectoryError(
            f"--out {out}: expected a folder for the run, got a file; name another folder"
        )
    if out.is_dir() and any(path.name not in _EMPTY for path in out.iterdir()):
        holds = "another run" if (out / MANIFEST).exists() else "files that are not a run"
        raise RunDirectoryError(
            f"--out {out}: expected a new or empty folder, got one that holds {holds}; "
            "name another folder, or `securefl resume` to go on with a run"
        )


def only_begun(out: Path) -> bool:
    """Whether a run was killed here before its manifest: settled, but nothing has left a client.

    Assumes: a ledger that lies here is empty; whoever begins again looks into it.
    """
    if not (out / CONFIG).is_file():
        return False
    known = {*_BEGINNING, *_LEDGER_BEGINNING}
    return all(path.name in known or path.name.startswith(_LEDGER_DRAFT) for path in out.iterdir())


def create(out: Path) -> None:
    """Makes the folder of a run.

    Raises:
        RunDirectoryError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise RunDirectoryError(
            f"--out {out}: expected a folder that can be made, got {cause.strerror}; name another folder or "
            "fix access"
        ) from cause


def withdraw(out: Path) -> None:
    """Takes back what a run has written that was refused before it began, and the folder if then empty.

    A folder with a ledger stays as it is: something may have been charged.
    """
    if (out / LEDGER).exists():
        return
    for name in (*_BEGINNING, MANIFEST):
        (out / name).unlink(missing_ok=True)
    with suppress(OSError):  # somebody else's file in it, or a mount point
        out.rmdir()


def sweep_drafts(out: Path) -> None:
    """Removes what was left of a ledger whose making was killed; it never had a ledger's name."""
    for draft in out.glob(f"{_LEDGER_DRAFT}*"):
        draft.unlink(missing_ok=True)


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Holds the folder for this process; a second process is refused."""
    try:
        file = (out / _LOCK).open("w")
    except OSError as cause:
        raise RunDirectoryError(
            f"{out}: expected a folder that can be written, got {cause.strerror}; fix access"
        ) from cause
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise RunDirectoryError(
                f"{out}: another process is working on this run; wait for it or stop it first"
            ) from cause
        yield


def write_secret(path: Path, text: str) -> None:
    """Writes a file that only its owner can read."""
    write_atomically(path, text, secret=True)


def write_json(path: Path, value: object) -> None:
    """Replaces `path` with readable JSON; infinities and NaN are refused."""
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def append_line(path: Path, value: Mapping[str, object]) -> None:
    """Appends one JSON line and syncs it."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(value, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as cause:
        raise RunDirectoryError(
            f"{path}: could not be written ({cause}); free space or fix access"
        ) from cause


def read_lines(path: Path) -> list[dict[str, object]]:
    """The complete JSON lines of a file; a torn last line is left out."""
    if not path.exists():
        return []
    lines: list[dict[str, object]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


def truncate_lines(path: Path, keep: int) -> None:
    """Keeps the first `keep` lines: what lies beyond the last checkpoint is played again.

    Raises:
        RunDirectoryError: there are fewer, so lines that were written before a checkpoint are gone.
    """
    lines = read_lines(path)[:keep]
    if len(lines) < keep:
        raise RunDirectoryError(
            f"{path}: expected the {keep} lines that the checkpoint follows, got {len(lines)} that read; "
            "restore the run directory from a copy or start a new run"
        )
    write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines))


def read_secret(path: Path) -> str:
    """The text of a file that `write_secret` wrote.

    Raises:
        RunDirectoryError: it is missing or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise RunDirectoryError(
            f"{path}: expected the clients' keys of a run in flight, got none that read ({cause}); without "
            "them nobody can go on as these clients: restore the file or start a new run"
        ) from cause


def read_json(path: Path) -> dict[str, object]:
    """A JSON object that a run wrote.

    Raises:
        RunDirectoryError: the file is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise RunDirectoryError(
            f"{path}: expected a file that a run has written, got none that reads ({cause}); "
            "is this the folder of a run?"
        ) from cause
    if not isinstance(value, dict):
        raise RunDirectoryError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value
