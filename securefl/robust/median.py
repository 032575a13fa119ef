"""The coordinate-wise median: the trimmed mean that trims as much as it can.

What this file does NOT do: find the point closest to all rows (that is the geometric median), or keep
accuracy when honest rows differ a lot from each other.

Reference: Yin et al. 2018, definition 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.robust.rule import Rule
from securefl.robust.trimmed_mean import middle_mean


def median() -> Rule:
    """The rule that takes each coordinate's middle value, or the mean of the two middle ones.

    Guarantee: as for `trimmed_mean` with trim (count - 1) // 2: fewer than half of the rows cannot move
    a coordinate out of the range of the others.

    Example:
        >>> median()(np.array([[1.0], [2.0], [1e9]]), np.ones(3)).tolist()
        [2.0]
    """
    return _median


def _median(rows: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
    return middle_mean(rows, max(0, (rows.shape[0] - 1) // 2))
