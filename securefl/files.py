"""Files that are replaced whole: after a crash there is the old one or the new one.

Rules kept here: what is written is synced before it gets its name, and the name before the call returns. A
secret file is its owner's alone from its first byte on.

What this file does NOT do: know what is in a file.
"""

from __future__ import annotations

import os
from pathlib import Path

from securefl.errors import RunDirectoryError


def write_atomically(path: Path, data: bytes | str, *, secret: bool = False) -> None:
    """Replaces `path` with `data`, or leaves it as it was.

    Args:
        path: the file; its folder is made where there is none.
        data: all of it.
        secret: only its owner may read the file, and a folder that is made for it.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    draft = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(mode=0o700 if secret else 0o777, parents=True, exist_ok=True)
        if secret:
            draft.touch(mode=0o600)
            draft.chmod(0o600)
        with draft.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as cause:
        raise RunDirectoryError(
            f"{path}: could not be written ({cause}); free space or fix access"
        ) from cause


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
