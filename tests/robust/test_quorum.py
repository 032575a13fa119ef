import pytest

from securefl.errors import ConfigError, RoundAbandoned
from securefl.robust import RULES, Before, bound_of, check_rows, remaining_trim, rows_after, rows_needed


def test_excluded_rows_use_up_the_trim():
    assert [remaining_trim(2, excluded) for excluded in range(4)] == [2, 1, 0, 0]


@pytest.mark.parametrize("rule", ["trimmed_mean", "median", "geometric_median", "centred_clipping"])
def test_the_formula_is_two_remaining_trims_and_one(rule):
    for trim in range(5):
        assert [rows_needed(rule, trim, excluded) for excluded in range(trim + 1)] == [
            2 * (trim - excluded) + 1 for excluded in range(trim + 1)
        ]


def test_the_mean_needs_one_row():
    assert [rows_needed("mean", trim) for trim in range(4)] == [1, 1, 1, 1]


def majority(f):
    return 2 * f + 1


PUBLISHED = {
    "mean": lambda f: 1,
    "trimmed_mean": majority,
    "median": majority,
    "geometric_median": majority,
    "centred_clipping": majority,
    "krum": lambda f: 2 * f + 3,
    "multi_krum": lambda f: 2 * f + 3,
    "bulyan": lambda f: 4 * f + 3,
    "monna": majority,
    "fltrust": lambda f: f + 1,
}


def accepts(rule, trim, released, excluded):
    try:
        check_rows(rule, trim, released, excluded)
    except RoundAbandoned:
        return False
    return True


@pytest.mark.parametrize("rule", RULES)
def test_a_round_goes_on_exactly_if_the_design_says_so(rule):
    for trim in range(4):
        for released in range(17):
            for excluded in range(released + 1):
                remain = released - excluded
                enough = remain >= PUBLISHED[rule](trim - excluded)
                assert accepts(rule, trim, released, excluded) == (excluded <= trim and enough)


def test_the_reason_names_the_side_that_failed():
    with pytest.raises(RoundAbandoned, match=r"2 rows are provably faulty and robust\.max_malicious is 1"):
        check_rows("median", 1, 9, 2)
    with pytest.raises(RoundAbandoned, match=r"needs 3 sound rows .* and 2 of 2 remain"):
        check_rows("trimmed_mean", 1, 2, 0)


def test_an_unknown_rule_is_a_config_error():
    with pytest.raises(ConfigError, match=r"expected one of mean, trimmed_mean, .*, got 'krun'") as caught:
        rows_needed("krun", 1)
    assert caught.value.path == "robust.rule"


def test_the_bound_as_text_says_what_is_counted():
    for rule in RULES:
        for f in range(4):
            assert eval(bound_of(rule).replace(" f", " * f"), {"f": f}) == rows_needed(rule, f)  # noqa: S307


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_with_buckets_the_bound_holds_for_the_buckets_and_for_no_row_less(rule, size):
    before = (Before("clipping", 1.0), Before("bucketing", size))
    for f in range(4):
        needed = rows_needed(rule, f, before=before)
        assert rows_after(before, needed) == rows_needed(rule, f)
        assert needed == 1 or rows_after(before, needed - 1) < rows_needed(rule, f)


def test_mixing_among_neighbours_asks_for_an_honest_majority_of_its_own():
    assert rows_needed("mean", 2, before=(Before("nearest_neighbours"),)) == 5
    assert rows_needed("krum", 2, before=(Before("nearest_neighbours"),)) == 7
    # Each bucket may be spoilt by one of the two, so the majority is needed among the buckets.
    assert rows_needed("mean", 2, before=(Before("bucketing", 2), Before("nearest_neighbours"))) == 9
