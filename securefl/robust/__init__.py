"""Rows (groups, dim) to one vector (dim,): the robust rules, the norm guard and the quorum.

Depends on NumPy alone. `combine` is the whole step of the server; the parts are importable one by one.
`named_rule` and `named_mixing` are the doors by name.
"""

from securefl.robust.bucketing import bucketing
from securefl.robust.bulyan import bulyan
from securefl.robust.centred_clipping import CLIPPING_STEPS, centred_clipping
from securefl.robust.clipping import clipping, quantile_clipping
from securefl.robust.combine import Combined, combine
from securefl.robust.doors import REFERENCE_RULES, RULES, named_mixing, named_rule
from securefl.robust.fltrust import fltrust
from securefl.robust.geometric_median import geometric_median
from securefl.robust.geometry import Geometry, geometry
from securefl.robust.guard import SoundRows, sound_rows
from securefl.robust.krum import krum
from securefl.robust.mean import mean
from securefl.robust.median import median
from securefl.robust.mixing import MIXINGS, Before, Mixing, Order, rows_after
from securefl.robust.monna import monna
from securefl.robust.multi_krum import multi_krum
from securefl.robust.nearest_neighbours import nearest_neighbours
from securefl.robust.quorum import bound_of, check_rows, remaining_trim, rows_needed
from securefl.robust.rule import Rule
from securefl.robust.trimmed_mean import trimmed_mean

__all__ = [
    "CLIPPING_STEPS",
    "MIXINGS",
    "REFERENCE_RULES",
    "RULES",
    "Before",
    "Combined",
    "Geometry",
    "Mixing",
    "Order",
    "Rule",
    "SoundRows",
    "bound_of",
    "bucketing",
    "bulyan",
    "centred_clipping",
    "check_rows",
    "clipping",
    "combine",
    "fltrust",
    "geometric_median",
    "geometry",
    "krum",
    "mean",
    "median",
    "monna",
    "multi_krum",
    "named_mixing",
    "named_rule",
    "nearest_neighbours",
    "quantile_clipping",
    "remaining_trim",
    "rows_after",
    "rows_needed",
    "sound_rows",
    "trimmed_mean",
]
