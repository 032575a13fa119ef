import numpy as np
import pytest

from securefl.errors import RoundAbandoned
from securefl.robust import Before, OwnRule, combine, rows_needed, trimmed_mean

OWN = OwnRule("twice_trimmed", lambda f: trimmed_mean(2 * f), rows_needed=lambda f: 4 * f + 1)


def test_rows_are_counted_for_it_as_for_the_rules_of_the_library():
    assert [rows_needed(OWN, f) for f in range(3)] == [1, 5, 9]
    assert rows_needed(OWN, 2, excluded=1) == 5
    assert rows_needed(OWN, 1, before=[Before("bucketing", 2)]) == 9
    with pytest.raises(RoundAbandoned, match="twice_trimmed needs 5 sound rows against 1 more"):
        combine(OWN, 1, np.zeros((4, 1)), np.ones(4), None)


def test_it_is_sized_for_what_the_exclusions_leave_of_f():
    rows = np.array([[np.nan], [0.0], [1.0], [2.0], [3.0], [99.0]])
    combined = combine(OWN, 2, rows, np.ones(6), None)
    assert (combined.vector.tolist(), combined.nonfinite) == ([2.0], (0,))
