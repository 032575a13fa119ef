"""What every rule and every step before one must bear, whichever it is."""

import numpy as np
import pytest

from securefl.errors import ConfigError
from securefl.robust import MIXINGS, REFERENCE_RULES, RULES, Before, combine, named_mixing, named_rule

F, COUNT, DIM = 2, 12, 30
WITH_F = [rule for rule in RULES if rule != "mean"]
STEPS = [Before("clipping", 9.0), Before("quantile_clipping", 0.8), Before("bucketing", 1),
         Before("nearest_neighbours")]  # fmt: skip


def honest_rows(seed=0, count=COUNT - F):
    rng = np.random.default_rng(seed)
    return rng.normal(size=DIM) + 0.1 * rng.normal(size=(count, DIM))


def applied(name, rows, weights=None):
    reference = honest_rows(count=1)[0]
    return named_rule(name, F, reference)(rows, np.ones(len(rows)) if weights is None else weights)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("name", RULES)
def test_a_rule_changes_nothing_that_it_is_given_and_returns_float64(name, layout, kind):
    rows, weights = np.array(honest_rows(count=COUNT), dtype=kind, order=layout), np.ones(COUNT)
    rows.flags.writeable = weights.flags.writeable = False
    result = applied(name, rows, weights)
    assert result.dtype == np.float64
    assert result.shape == (DIM,)
    assert result.flags.writeable


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_before_the_rule_changes_nothing_and_keeps_the_type(step, kind):
    rows = honest_rows(count=COUNT).astype(kind)
    rows.flags.writeable = False
    assert named_mixing(step, F, np.arange)(rows).dtype == kind


@pytest.mark.parametrize("name", WITH_F)
def test_a_lying_count_buys_no_influence(name):
    rows = honest_rows(count=COUNT)
    lies = np.array([1e12, *[1.0] * (COUNT - 1)])
    assert np.array_equal(applied(name, rows), applied(name, rows, lies))


@pytest.mark.parametrize("reach", [10.0, 1e9, 1e30, 1e300])
@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("name", WITH_F)
def test_two_far_rows_of_twelve_leave_the_result_beside_the_honest_rows(name, place, reach):
    honest, far = honest_rows(), np.full((F, DIM), reach)
    far[1] *= -1.0
    rows = np.concatenate([far, honest] if place == "first" else [honest, far])
    result = applied(name, rows)
    centre = honest.mean(axis=0)
    diameter = max(np.linalg.norm(one - other) for one in honest for other in honest)
    # FLTrust may turn up to half of its trust to a far row; it bounds the length instead.
    if name == "fltrust":
        assert np.linalg.norm(result) <= np.linalg.norm(honest_rows(count=1)) * (1 + 1e-12)
    else:
        assert np.linalg.norm(result - centre) <= diameter


def test_the_mean_bears_none_of_this():
    rows = np.concatenate([honest_rows(), np.full((1, DIM), 1e9)])
    assert np.linalg.norm(applied("mean", rows)) > 1e8


@pytest.mark.parametrize("name", RULES)
def test_small_updates_on_large_weights_are_combined_as_the_updates_alone(name):
    rng = np.random.default_rng(1)
    updates = 1e-5 * honest_rows(count=COUNT)
    weights = np.round(rng.normal(size=DIM), 3)
    if name == "fltrust":
        return  # it works on directions from zero: rows that are no updates are another question
    rule_up = named_rule(name, F, updates[0])(updates, np.ones(COUNT))
    rule_on = named_rule(name, F, updates[0] + weights)(updates + weights, np.ones(COUNT))
    np.testing.assert_allclose(rule_on - weights, rule_up, rtol=0, atol=1e-4 * 1e-5)


@pytest.mark.parametrize("before", [(step,) for step in STEPS] + [(STEPS[2], STEPS[3])])
@pytest.mark.parametrize("name", WITH_F)
def test_combine_takes_any_rule_with_any_steps_before_it(name, before):
    honest = honest_rows()
    rows = np.concatenate([honest, [np.full(DIM, np.nan)], np.full((1, DIM), 40.0)])
    reference = honest_rows(count=1)[0]
    combined = combine(name, F, rows, np.ones(COUNT), None, before, np.arange, reference)
    assert (len(combined.used), combined.nonfinite) == (COUNT - 1, (COUNT - 2,))
    mixed = rows[list(combined.used)]
    for step in before:
        mixed = named_mixing(step, F - 1, np.arange)(mixed)
    expected = named_rule(name, F - 1, reference)(mixed, np.ones(len(mixed)))
    assert np.array_equal(combined.vector, expected)


def test_the_mean_keeps_its_weights_behind_clipping_and_counts_buckets_the_same():
    rows, weights = np.array([[1.0], [2.0], [3.0]]), np.array([2.0, 1.0, 1.0])
    assert combine("mean", 0, rows, weights, None, [Before("clipping", 2.0)]).vector.tolist() == [1.5]
    bucketed = combine("mean", 0, rows, weights, None, [Before("bucketing", 2)], np.arange)
    assert bucketed.vector.tolist() == [2.25]


def test_unknown_names_and_missing_parts_are_refused_with_what_there_is():
    with pytest.raises(ConfigError, match="geometric_median") as caught:
        named_rule("median_of_means", 1)
    assert caught.value.path == "robust.rule"
    for name in REFERENCE_RULES:
        with pytest.raises(ConfigError, match=r"the server's own update .* pass `reference=`"):
            named_rule(name, 1)
    with pytest.raises(ConfigError, match=", ".join(MIXINGS)):
        named_mixing(Before("sorting"), 1)
    with pytest.raises(ConfigError, match="expected a value for 'clipping'"):
        named_mixing(Before("clipping"), 1)
    with pytest.raises(ConfigError, match="pass `order=`"):
        named_mixing(Before("bucketing", 2), 1)
