"""Synthetic dialogues of four domains: a seeded grammar, not text of real people."""

from securefl.data.dialogues.domain import DESCRIPTION, Domain
from securefl.data.dialogues.life import DOMAINS, PUBLIC, Example, dialogues, known_to, named, probes
from securefl.data.dialogues.lives import Lives, load_dialogues

__all__ = [
    "DESCRIPTION",
    "DOMAINS",
    "PUBLIC",
    "Domain",
    "Example",
    "Lives",
    "dialogues",
    "known_to",
    "load_dialogues",
    "named",
    "probes",
]
