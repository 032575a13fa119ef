"""Rows (groups, dim) to one vector (dim,): the robust rules, the norm guard and the quorum.

Depends on NumPy alone. `combine` is the whole step of the server; the parts are importable one by one.
"""

from securefl.robust.combine import Combined, combine, named_rule
from securefl.robust.guard import SoundRows, sound_rows
from securefl.robust.mean import mean
from securefl.robust.median import median
from securefl.robust.quorum import RULES, check_rows, remaining_trim, rows_needed
from securefl.robust.rule import Rule
from securefl.robust.trimmed_mean import trimmed_mean

__all__ = [
    "RULES",
    "Combined",
    "Rule",
    "SoundRows",
    "check_rows",
    "combine",
    "mean",
    "median",
    "named_rule",
    "remaining_trim",
    "rows_needed",
    "sound_rows",
    "trimmed_mean",
]
