"""The page of a run: `write(out)` turns a run directory into one self-contained report.html.

It reads what the run wrote (and nothing else), computes no guarantee of its own, and is the only
package that imports matplotlib.
"""

from securefl.report.heat_map import heat_map
from securefl.report.page import render, write
from securefl.report.record import RunRecord, read
from securefl.report.roc_curve import roc_curve

__all__ = ["RunRecord", "heat_map", "read", "render", "roc_curve", "write"]
