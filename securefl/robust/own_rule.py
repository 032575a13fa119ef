"""A rule of one's own: what the library has to know of it besides the function.

Rules kept here: the library counts rows for it as for its own rules, and takes its author's word for the
bound.

What this file does NOT do: check that the rule bears what its author says; `examples/write_a_rule.py` shows
how to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from securefl.robust.rule import Rule


@dataclass(frozen=True)
class OwnRule:
    """A rule that is not among `RULES`.

    Attributes:
        name: what records and the guarantee card call it.
        make: from f, the rows that may be malicious, to the rule.
        rows_needed: from f to the rows without which the rule does not bear f.
    """

    name: str
    make: Callable[[int], Rule]
    rows_needed: Callable[[int], int]
