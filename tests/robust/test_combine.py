import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import ConfigError, RoundAbandoned
from securefl.robust import RULES, combine, named_rule, rows_needed

ONE = np.ones(1)

NO_TORCH = """
import sys
import securefl.crypto, securefl.encoding, securefl.robust
loaded = {"torch", "opacus", "transformers"} & set(sys.modules)
assert not loaded, loaded
"""


def test_excluded_rows_are_named_and_the_rule_sees_the_others_only():
    rows = np.array([[1.0, 0.0], [np.nan, 0.0], [0.0, 1.0], [50.0, 0.0], [0.5, 0.5]])
    combined = combine("mean", 2, rows, np.array([1.0, 7.0, 1.0, 7.0, 2.0]), norm_bound=2.0)
    assert (combined.used, combined.nonfinite, combined.oversized) == ((0, 2, 4), (1,), (3,))
    assert combined.vector.tolist() == [0.5, 0.5]


def test_an_excluded_row_reduces_the_trim():
    rows = np.array([[0.0], [1.0], [5.0], [np.inf]])
    # One of two declared attackers is out: trim one of the three that remain, per side.
    assert combine("trimmed_mean", 2, rows, np.ones(4), None).vector.tolist() == [1.0]
    # The only declared attacker is out: nothing is left to trim.
    assert combine("trimmed_mean", 1, rows, np.ones(4), None).vector.tolist() == [2.0]


@pytest.mark.parametrize("rule", ["trimmed_mean", "median"])
def test_quickstart_bears_one_bad_group_of_three_and_no_lost_group_beside_it(rule):
    honest, lost = [[0.1], [0.3]], np.array([[0.1], [-9.0]])
    assert 0.1 <= combine(rule, 1, np.array([*honest, [-9.0]]), np.ones(3), None).vector[0] <= 0.3
    assert combine(rule, 1, np.array([*honest, [-9.0]]), np.ones(3), 1.0).vector.tolist() == [0.2]
    with pytest.raises(RoundAbandoned):
        combine(rule, 1, lost, np.ones(2), None)
    assert combine(rule, 1, lost, np.ones(2), 1.0).vector.tolist() == [0.1]


@pytest.mark.parametrize("rule", RULES)
def test_more_faulty_rows_than_declared_abandon_the_round(rule):
    rows = np.array([[np.nan], [9.0], [0.0], [0.0], [0.0], [0.0]])
    with pytest.raises(RoundAbandoned, match="2 rows are provably faulty"):
        combine(rule, 1, rows, np.ones(6), 1.0, reference=ONE)
    assert combine(rule, 2, rows, np.ones(6), 1.0, reference=0 * ONE).vector.tolist() == [0.0]


@given(st.integers(1, 3), st.integers(0, 3), st.sampled_from(["trimmed_mean", "median"]), st.data())
@settings(deadline=None, max_examples=60)
def test_declared_attackers_with_any_floats_never_leave_the_honest_range(trim, extra, rule, data):
    honest = np.random.default_rng(extra).uniform(-0.5, 0.5, size=(trim + 1 + extra, 2))
    anything = st.floats(allow_nan=True, allow_infinity=True)
    liars = np.array(data.draw(st.lists(st.tuples(anything, anything), min_size=trim, max_size=trim)))
    rows = np.concatenate([liars, honest])
    bound = data.draw(st.sampled_from([None, 1.0]))
    result = combine(rule, trim, rows, np.ones(len(rows)), bound).vector
    assert (honest.min(axis=0) - 1e-15 <= result).all()
    assert (result <= honest.max(axis=0) + 1e-15).all()


@pytest.mark.parametrize("rule", RULES)
def test_rows_and_weights_are_never_changed(rule):
    rows, weights, reference = np.array([[3.0], [np.nan], [1.0], [2.0]]), np.arange(1.0, 5.0), np.ones(1)
    before = rows.copy(), weights.copy(), reference.copy()
    combine(rule, 1, rows, weights, None, reference=reference).vector[:] = 7.0
    # Nothing to remove: the rule gets the rows themselves.
    sound = np.delete(rows, 1, axis=0)
    kept = sound.copy()
    combine(rule, 0, sound, weights[:3], None, reference=reference).vector[:] = 7.0
    for now, then in zip((rows, weights, reference, sound), (*before, kept), strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_lone_row_is_copied_not_handed_through():
    for rule in RULES:
        rows = np.array([[1.0, 2.0]] * rows_needed(rule, 0))
        combine(rule, 0, rows, np.ones(len(rows)), None, reference=rows[0]).vector[:] = 7.0
        assert rows.tolist() == [[1.0, 2.0]] * len(rows)


def test_unchanged_models_give_a_zero_update():
    for rule in RULES:
        combined = combine(rule, 1, np.zeros((7, 4)), np.ones(7), 1.0, reference=np.zeros(4))
        assert combined.vector.tolist() == [0.0] * 4


def test_finite_rows_whose_mean_is_infinite_abandon_the_round():
    with pytest.raises(RoundAbandoned, match="too large"):
        combine("mean", 0, np.full((2, 1), 1.7e308), np.ones(2), None)


def test_unknown_rules_and_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="krun"):
        combine("krun", 1, np.zeros((3, 1)), np.ones(3), None)
    for rows, weights in ((np.zeros(3), np.ones(3)), (np.zeros((3, 1)), np.ones(2))):
        with pytest.raises(ValueError, match="expected rows"):
            combine("mean", 1, rows, weights, None)


def test_every_rule_has_its_name():
    rows = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0], [90.0]])
    weights = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0])
    values = {name: round(named_rule(name, 1, ONE)(rows, weights)[0], 3) for name in RULES}
    assert values == {
        "mean": 24.375,
        "trimmed_mean": 3.0,
        "median": 3.0,
        "geometric_median": 3.0,
        "centred_clipping": values["centred_clipping"],
        "krum": 2.0,
        "multi_krum": 2.5,
        "bulyan": 2.0,
        "monna": 2.286,
        "fltrust": 1.0,
    }
    assert 2.5 < values["centred_clipping"] < 4.0


def test_crypto_encoding_and_robust_do_not_import_torch():
    subprocess.run([sys.executable, "-c", NO_TORCH], check=True, timeout=60)
