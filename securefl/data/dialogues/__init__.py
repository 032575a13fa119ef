"""Synthetic dialogues of four domains: a seeded grammar, not text of real people."""

from securefl.data.dialogues.domain import DESCRIPTION, Domain
from securefl.data.dialogues.life import DOMAINS, PUBLIC, Example, dialogues, known_to, named, probes
from securefl.data.dialogues.tokens import Encode, TokenRows, token_rows

__all__ = [
    "DESCRIPTION",
    "DOMAINS",
    "PUBLIC",
    "Domain",
    "Encode",
    "Example",
    "TokenRows",
    "dialogues",
    "known_to",
    "named",
    "probes",
    "token_rows",
]
