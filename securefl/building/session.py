"""What names one run and says where its own files lie; a worker process gets it whole.

What this file does NOT do: write anything there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from securefl.crypto.randomness import Randomness
from securefl.federation.enrolment import Enrolment
from securefl.privacy.ledger import Ledger


@dataclass(frozen=True)
class Session:
    """One run, as everything that is built for it knows it.

    Attributes:
        run: its id.
        home: the folder of its own files.
        ledger: the ledger's path: in there, or shared between runs.
        source: where its secrets and its noise come from.
        enrolment: who may take part.
    """

    run: str
    home: Path
    ledger: Path
    source: Randomness
    enrolment: Enrolment

    def opened(self, *, create: bool) -> Ledger:
        """The ledger; made where there is none, if `create`.

        Raises:
            LedgerUnusable: missing, damaged, locked, or made under another kind of source.
        """
        return Ledger.open(self.ledger, create=create, private=self.source.private, run=self.run)


def task_id(run: str) -> bytes:
    """32 bytes that name a run in every protocol message."""
    return hashlib.sha256(b"securefl task " + run.encode()).digest()
