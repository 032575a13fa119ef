"""LiRA and RMIA on margins drawn from normals, where it is known what an attack can see (synthetic data)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from securefl.attacks.inference import area, lira, rmia
from securefl.errors import DataError

MODELS, EXAMPLES = 64, 600


def world(shift: float, seed: int = 0):
    """Margins that training on an example lifts by `shift`, over examples of very different difficulty."""
    random = np.random.default_rng(seed)
    hardness = 5.0 * random.standard_normal(EXAMPLES)
    members = random.random((MODELS + 1, EXAMPLES)) < 0.5
    margins = hardness + shift * members + random.standard_normal((MODELS + 1, EXAMPLES))
    return margins[0], members[0], margins[1:], members[1:]


def seen(scores: np.ndarray, inside: np.ndarray) -> float:
    return area(scores[inside], scores[~inside])


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("attack", [lira.online, lira.offline])
def test_it_sees_nearly_all_that_there_is_to_see(attack, fixed: bool) -> None:
    target, inside, margins, members = world(2.0)
    # The best test of two unit normals 2 apart has an area of Phi(sqrt(2)) = 0.921; the area deviates by
    # 0.012 with 300 on each side, and means of 32 shadow models cost 0.003.
    best = stats.norm.cdf(np.sqrt(2))
    assert seen(attack(target, margins, members, fixed), inside) == pytest.approx(best, abs=0.05)


def test_a_threshold_on_the_margin_alone_sees_far_less() -> None:
    target, inside, margins, members = world(2.0)
    assert seen(target, inside) < seen(lira.online(target, margins, members), inside) - 0.2


@pytest.mark.parametrize("attack", [lira.online, lira.offline])
def test_where_training_leaves_no_trace_it_is_at_chance(attack) -> None:
    target, inside, margins, members = world(0.0)
    # The area of meaningless scores deviates by sqrt((m + n + 1) / (12 m n)) = 0.024; five of them.
    assert seen(attack(target, margins, members), inside) == pytest.approx(0.5, abs=0.12)


def test_scores_keep_their_order_far_beyond_where_probabilities_are_1() -> None:
    _, _, margins, members = world(2.0)
    scores = lira.offline(margins.max(axis=0) + np.linspace(50, 60, EXAMPLES), margins, members)
    assert len(set(scores.tolist())) == EXAMPLES


def test_offline_never_looks_at_the_models_that_trained_on_an_example() -> None:
    target, _, margins, members = world(2.0)
    altered = np.where(members, 1e6, margins)
    assert np.array_equal(lira.offline(target, margins, members), lira.offline(target, altered, members))


def test_too_few_shadow_models_or_other_shapes_are_refused() -> None:
    target, _, margins, members = world(1.0)
    one_sided = members.copy()
    one_sided[:, 3] = True
    for broken in (
        (target, margins, one_sided),
        (target[:-1], margins, members),
        (target, margins[:-1], members),
        (target, margins[:0], members[:0]),
    ):
        with pytest.raises(DataError, match="expected"):
            lira.online(*broken)


def probable(shift: float, seed: int = 0):
    """The same as log probabilities."""
    target, inside, margins, members = world(shift, seed)
    return -np.logaddexp(0, -target), inside, -np.logaddexp(0, -margins), members


@pytest.mark.parametrize("online", [True, False])
def test_rmia_sees_more_than_the_loss(online: bool) -> None:
    target, inside, references, members = probable(2.0)
    scores = rmia(target, references, ~inside, None if online else members)
    assert seen(scores, inside) > seen(target, inside) + 0.1
    assert scores.min() >= 0.0
    assert scores.max() <= 1.0


def test_rmia_is_the_share_of_the_population_that_is_outdone_by_the_factor() -> None:
    target, references = np.log([0.8, 0.22, 0.1]), np.log([[0.2, 0.2, 0.2]])
    # Gains are 4, 1.1 and 0.5; over examples 2 and 3 the first outdoes both by 2, the second only the third.
    population = np.array([False, True, True])
    assert rmia(target, references, population).tolist() == [1.0, 0.5, 0.0]


def test_rmia_refuses_what_it_cannot_compare() -> None:
    target, references, members = np.zeros(3), np.zeros((2, 3)), np.ones((2, 3), bool)
    for broken in (
        (target, references, np.zeros(3, bool)),
        (target, references[:, :2], np.ones(3, bool)),
        (target, references, np.ones(3, bool), members),
    ):
        with pytest.raises(DataError, match="expected"):
            rmia(*broken)
