"""What single attacks send, against a few honest rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from securefl.attacks import ATTACKS, Capability, View, named_attack
from securefl.attacks.alie import LEAST_SHIFT, shift
from securefl.attacks.attack import Attack, Judge
from securefl.attacks.envelope import furthest_by_maximum, furthest_by_sum, squared_distances
from securefl.errors import ConfigError
from securefl.robust import mean, trimmed_mean

ROWS = np.random.default_rng(5).normal(1.0, 0.5, size=(8, 6))
OWN = np.full(6, 2.0)
rows_of = arrays(np.float64, (5, 3), elements=st.integers(-100, 100).map(float))


def view(attack: Attack, rows: np.ndarray = ROWS, judge: Judge | None = None, round: int = 2) -> View:
    return View(
        needs=attack.needs,
        round=round,
        model=np.ones(rows.shape[1]),
        previous=np.zeros(rows.shape[1]),
        clients=10,
        attackers=2,
        clip_norm=1.0,
        random=np.random.default_rng(1),
        _own=lambda: OWN,
        _leader=lambda: 3 * OWN,
        _rows=lambda: rows,
        _judge=judge,
    )


def sent(name: str, strength: float | None = None, judge: Judge | None = None) -> np.ndarray:
    attack = named_attack(name, strength)
    assert attack.begin is not None
    return attack.begin()(view(attack, judge=judge))


def rule_mean(rows: np.ndarray) -> np.ndarray:
    return mean()(rows, np.ones(len(rows)))


def rule_trimmed(rows: np.ndarray) -> np.ndarray:
    return trimmed_mean(2)(rows, np.ones(len(rows)))


def test_simple_crafts_send_what_their_papers_say() -> None:
    assert sent("sign_flip", 3.0).tolist() == (-3.0 * OWN).tolist()
    assert np.allclose(sent("foe", 100.0), -100.0 * ROWS.mean(axis=0))
    assert np.allclose(sent("alie", 1.5), ROWS.mean(axis=0) - 1.5 * ROWS.std(axis=0))
    assert sent("scaling").tolist() == (10 / 2 * OWN).tolist()
    assert sent("free_rider").tolist() == [1.0] * 6, "the model's last step, without training"
    assert sent("sybils").tolist() == (3 * OWN).tolist(), "everybody sends what the first one trained"
    assert sent("inflated_counts").tolist() == (-OWN).tolist()
    assert np.isnan(sent("nonfinite")).all()


def test_gaussian_noise_has_the_deviation_it_names() -> None:
    attack = named_attack("gaussian", 2.0)
    assert attack.begin is not None
    noise = attack.begin()(view(attack, np.zeros((5, 40_000))))
    # The standard error of a deviation is sigma / sqrt(2 n) = 0.0071; six of them.
    assert abs(noise.std() - 2.0) < 6 * 2.0 / np.sqrt(2 * noise.size)


def test_the_shift_of_alie_is_the_papers_where_it_is_an_attack_at_all() -> None:
    # Baruch et al. 2019: n = 50, m = 24 leaves s = 2 supporters to win, so 24 of 26 rows may be passed.
    assert shift(50, 24) == pytest.approx(1.4261, abs=1e-4)
    assert shift(12, 2) == LEAST_SHIFT
    assert shift(3, 3) == LEAST_SHIFT


@given(rows_of)
def test_min_max_touches_its_bound_and_a_step_further_would_pass_it(rows: np.ndarray) -> None:
    towards, centre = -rows.std(axis=0), rows.mean(axis=0)
    amount, bound = furthest_by_maximum(rows, towards), squared_distances(rows).max()
    if not towards.any():
        assert amount == 0.0
        return
    reach = ((rows - (centre + amount * towards)) ** 2).sum(axis=1).max()
    beyond = ((rows - (centre + (amount * 1.01 + 1e-6) * towards)) ** 2).sum(axis=1).max()
    assert reach == pytest.approx(bound, rel=1e-9)
    assert beyond > bound


@given(rows_of)
def test_min_sum_touches_its_bound_and_a_step_further_would_pass_it(rows: np.ndarray) -> None:
    towards, centre = -rows.std(axis=0), rows.mean(axis=0)
    amount, bound = furthest_by_sum(rows, towards), squared_distances(rows).sum(axis=1).max()
    if not towards.any():
        assert amount == 0.0
        return
    reach = ((rows - (centre + amount * towards)) ** 2).sum()
    beyond = ((rows - (centre + (amount * 1.01 + 1e-6) * towards)) ** 2).sum()
    assert reach == pytest.approx(bound, rel=1e-9)
    assert beyond > bound


@pytest.mark.parametrize("family", ["alie", "foe"])
@pytest.mark.parametrize("judge", [rule_mean, rule_trimmed])
def test_a_line_search_moves_the_known_rule_at_least_as_far_as_fixed_strengths(
    family: str, judge: Judge
) -> None:
    def harm(row: np.ndarray) -> float:
        return float(np.linalg.norm(judge(np.vstack([ROWS, row, row])) - ROWS.mean(axis=0)))

    searched = harm(sent(f"{family}_line_search", judge=judge))
    assert all(searched >= harm(sent(family, strength)) - 1e-12 for strength in (0.5, 1.0, 2.0, 4.0))
    assert searched > 0


def test_mimic_repeats_one_honest_row_and_stays_with_it() -> None:
    rows = np.random.default_rng(2).normal(0, 0.1, size=(6, 4))
    rows[3] += 5.0
    attack = named_attack("mimic")
    assert attack.begin is not None
    craft = attack.begin()
    picked = [craft(view(attack, rows, round=round)) for round in range(1, 30)]
    assert all(np.array_equal(one, rows[3]) for one in picked), "the row that differs most"


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_states_its_source_and_gets_by_with_what_it_declares(name: str) -> None:
    attack = named_attack(name)
    assert attack.name == name
    assert any(year in attack.source for year in ("2011", "2017", "2019", "2020", "2021", "2022"))
    assert attack.needs
    assert attack.poison is not None or attack.begin is not None
    if attack.begin is not None:  # a view raises for everything that is not declared
        assert attack.begin()(view(attack, judge=rule_mean)).shape == (6,)


def test_a_view_refuses_what_an_attack_did_not_declare() -> None:
    seen = view(named_attack("sign_flip"), judge=rule_mean)
    for use in (seen.rows, seen.leader, lambda: seen.judge(OWN)):
        with pytest.raises(ValueError, match="without declaring it"):
            use()


@pytest.mark.parametrize(
    ("name", "strength", "says"),
    [
        ("sing_flip", None, "did you mean 'sign_flip'"),
        ("x", None, "use one of alie"),
        ("mimic", 2.0, "expected no strength for 'mimic'"),
        ("foe", 0.0, "above 0"),
        ("foe", float("nan"), "above 0"),
    ],
)
def test_what_the_table_does_not_hold_is_refused(name: str, strength: float | None, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        named_attack(name, strength)


def test_sign_flip_past_the_clip_says_that_it_passes_the_clip() -> None:
    assert Capability.EXCEEDS_CLIP not in named_attack("sign_flip").needs
    assert Capability.EXCEEDS_CLIP in named_attack("sign_flip", 10.0).needs
