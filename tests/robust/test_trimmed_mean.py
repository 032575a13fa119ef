import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import RoundAbandoned
from securefl.robust import trimmed_mean
from securefl.robust.blocks import blocks
from securefl.robust.ordering import NETWORK_ROWS

quick = settings(deadline=None, max_examples=60)


def plain_trimmed_mean(rows, trim):
    """Definition 2 of Yin et al. 2018, one column at a time."""
    kept = [sorted(column)[trim : len(column) - trim] for column in rows.T.tolist()]
    return [sum(values) / len(values) for values in kept]


@given(st.integers(0, 4), st.integers(0, 5), st.integers(0, 20), st.integers(0, 2**32))
@quick
def test_each_column_is_trimmed_on_its_own(trim, extra, dim, seed):
    rows = np.random.default_rng(seed).normal(size=(2 * trim + 1 + extra, dim))
    result = trimmed_mean(trim)(rows, np.ones(len(rows)))
    assert result.shape == (dim,)
    np.testing.assert_allclose(result, plain_trimmed_mean(rows, trim), rtol=0, atol=1e-13)


@given(st.integers(1, 4), st.integers(0, 4), st.data())
@quick
def test_attackers_within_the_trim_never_leave_the_honest_range(trim, extra, data):
    honest_count = trim + 1 + extra
    values = st.floats(-1e300, 1e300)
    honest = np.array(data.draw(st.lists(values, min_size=honest_count, max_size=honest_count)))
    liars = np.array(data.draw(st.lists(values, min_size=trim, max_size=trim)))
    rows = np.concatenate([honest, liars])[:, None]
    with np.errstate(over="ignore"):
        result = trimmed_mean(trim)(rows, np.ones(len(rows)))[0]
    slack = 1e-12 * np.abs(honest).max()
    assert honest.min() - slack <= result <= honest.max() + slack


def test_one_attacker_more_than_the_trim_does_leave_it():
    rows = np.array([[0.0], [0.0], [0.0], [1e6], [1e6]])
    assert trimmed_mean(2)(rows, np.ones(5)).tolist() == [0.0]
    assert trimmed_mean(1)(rows, np.ones(5))[0] > 1e5


def test_the_trim_count_is_not_off_by_one():
    rows = np.array([[1.0], [10.0], [100.0], [1000.0], [10000.0]])
    assert trimmed_mean(0)(rows, np.ones(5)).tolist() == [2222.2]
    assert trimmed_mean(1)(rows, np.ones(5)).tolist() == [370.0]
    assert trimmed_mean(2)(rows, np.ones(5)).tolist() == [100.0]


@pytest.mark.parametrize("count", [3, 7, NETWORK_ROWS, NETWORK_ROWS + 1])
def test_blocks_of_columns_join_without_a_seam(count):
    width = next(blocks(count, 10**9, 8)).stop
    rows = np.random.default_rng(0).normal(size=(count, 2 * width + 1))
    expected = np.sort(rows, axis=0)[1:-1].mean(axis=0)
    np.testing.assert_allclose(trimmed_mean(1)(rows, np.ones(count)), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 1), (1, 5), (5, 4)])
def test_rows_of_any_layout_stay_as_they_were(layout, kind, shape):
    rows = np.array(np.random.default_rng(0).normal(size=shape), dtype=kind, order=layout)
    before = rows.copy()
    result = trimmed_mean(0)(rows, np.ones(len(rows)))
    assert result.dtype == np.float64
    assert np.array_equal(rows, before)


def test_weights_buy_no_influence():
    rows = np.random.default_rng(0).normal(size=(5, 4))
    plain = trimmed_mean(1)(rows, np.ones(5))
    assert np.array_equal(plain, trimmed_mean(1)(rows, np.array([1e9, 1.0, 1.0, 1.0, 1.0])))


@pytest.mark.parametrize("trim", [1, 2, 5])
def test_fewer_rows_than_the_formula_demands_abandon_the_round(trim):
    trimmed_mean(trim)(np.zeros((2 * trim + 1, 2)), np.ones(2 * trim + 1))
    with pytest.raises(RoundAbandoned, match=f"at least {2 * trim + 1} rows"):
        trimmed_mean(trim)(np.zeros((2 * trim, 2)), np.ones(2 * trim))


def test_a_negative_trim_and_a_vector_instead_of_rows_are_refused():
    with pytest.raises(ValueError, match="at least 0"):
        trimmed_mean(-1)
    with pytest.raises(ValueError, match="shape"):
        trimmed_mean(0)(np.zeros(3), np.ones(3))
