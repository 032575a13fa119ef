from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from securefl.attacks.inference import area, curve, hits_at
from securefl.attacks.inference.roc import _chances
from securefl.errors import DataError

SCORES = st.lists(st.integers(-5, 5), min_size=1, max_size=30).map(lambda each: np.array(each, dtype=float))


@given(SCORES, SCORES)
def test_the_curve_and_its_area_are_scikit_learns(members: np.ndarray, others: np.ndarray) -> None:
    truth = np.repeat([1, 0], [len(members), len(others)])
    scores = np.concatenate([members, others])
    false, true = curve(members, others)
    expected_false, expected_true, _ = roc_curve(truth, scores, drop_intermediate=False)
    assert np.allclose(false, expected_false)
    assert np.allclose(true, expected_true)
    assert area(members, others) == pytest.approx(roc_auc_score(truth, scores))


@given(SCORES, SCORES, st.floats(0.0, 1.0))
def test_the_rate_of_false_positives_is_never_passed(
    members: np.ndarray, others: np.ndarray, allowed: float
) -> None:
    found = hits_at(members, others, allowed)
    false, true = curve(members, others)
    assert found.rate == true[false <= np.floor(allowed * len(others)) / len(others)].max()


def test_a_tenth_of_a_percent_of_few_non_members_allows_none() -> None:
    members, others = np.array([5.0, 3.0, 3.0, 0.0]), np.array([3.0] + [1.0] * 500)
    found = hits_at(members, others)
    assert (found.allowed, found.rate, found.others) == (0, 0.25, 501)


@pytest.mark.parametrize(("members", "others", "allowed"), [(7, 5, 0), (20, 30, 3), (4, 3, 3)])
def test_chance_is_negative_hypergeometric(members: int, others: int, allowed: int) -> None:
    found = _chances(members, others, allowed)
    if allowed < others:
        expected = stats.nhypergeom(members + others, members, allowed + 1).pmf(np.arange(members + 1))
    else:
        expected = np.eye(members + 1)[-1]
    assert found == pytest.approx(expected, abs=1e-12)


def test_meaningless_scores_lie_within_chance_as_often_as_said() -> None:
    random, tries, inside = np.random.default_rng(0), 400, 0
    low, high = hits_at(np.zeros(300), np.zeros(400), 0.01).chance(0.9)
    for _ in range(tries):
        rate = hits_at(random.standard_normal(300), random.standard_normal(400), 0.01).rate
        inside += low <= rate <= high
    # At least 90 %; fewer than this are seen with probability 1e-6.
    assert inside >= stats.binom.ppf(1e-6, tries, 0.9)


@pytest.mark.parametrize("bad", [np.zeros(0), np.array([np.nan]), np.zeros((2, 2))])
def test_scores_that_are_none_are_refused(bad: np.ndarray) -> None:
    for pair in ((bad, np.zeros(3)), (np.zeros(3), bad)):
        with pytest.raises(DataError, match="expected"):
            hits_at(*pair)
