import pytest

from securefl.errors import ConfigError, RoundAbandoned
from securefl.robust import RULES, check_rows, remaining_trim, rows_needed


def test_excluded_rows_use_up_the_trim():
    assert [remaining_trim(2, excluded) for excluded in range(4)] == [2, 1, 0, 0]


@pytest.mark.parametrize("rule", ["trimmed_mean", "median"])
def test_the_formula_is_two_remaining_trims_and_one(rule):
    for trim in range(5):
        assert [rows_needed(rule, trim, excluded) for excluded in range(trim + 1)] == [
            2 * (trim - excluded) + 1 for excluded in range(trim + 1)
        ]


def test_the_mean_needs_one_row():
    assert [rows_needed("mean", trim) for trim in range(4)] == [1, 1, 1, 1]


def accepts(rule, trim, released, excluded):
    try:
        check_rows(rule, trim, released, excluded)
    except RoundAbandoned:
        return False
    return True


@pytest.mark.parametrize("rule", RULES)
def test_a_round_goes_on_exactly_if_the_design_says_so(rule):
    for trim in range(4):
        for released in range(10):
            for excluded in range(released + 1):
                remain = released - excluded
                enough = remain >= (1 if rule == "mean" else 2 * (trim - excluded) + 1)
                assert accepts(rule, trim, released, excluded) == (excluded <= trim and enough)


def test_the_reason_names_the_side_that_failed():
    with pytest.raises(RoundAbandoned, match=r"2 rows are provably faulty and robust\.max_malicious is 1"):
        check_rows("median", 1, 9, 2)
    with pytest.raises(RoundAbandoned, match=r"needs 3 sound rows .* and 2 of 2 remain"):
        check_rows("trimmed_mean", 1, 2, 0)


def test_an_unknown_rule_is_a_config_error():
    with pytest.raises(ConfigError, match="expected one of mean, trimmed_mean, median, got 'krum'") as caught:
        rows_needed("krum", 1)
    assert caught.value.path == "robust.rule"
