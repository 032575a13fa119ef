import numpy as np
import pytest

from securefl.errors import RoundAbandoned
from securefl.robust.rule import expect_rows


def test_enough_rows_pass_and_too_few_abandon_the_round():
    expect_rows(np.zeros((3, 2)), 3)
    with pytest.raises(RoundAbandoned, match="at least 4 rows for the robust rule, got 3"):
        expect_rows(np.zeros((3, 2)), 4)


@pytest.mark.parametrize("shape", [(), (3,), (3, 2, 1)])
def test_anything_but_a_matrix_is_refused(shape):
    with pytest.raises(ValueError, match=r"shape \(count, dim\)"):
        expect_rows(np.zeros(shape), 1)
