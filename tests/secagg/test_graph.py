"""The graph of a group: the published parameters, the ring's symmetry, and who can go on."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

import pytest

from securefl.errors import ConfigError, DecodeError
from securefl.secagg import graph as graphs
from securefl.secagg.graph import Graph, graph_of, ring_parameters, shape
from securefl.secagg.messages import from_bytes

# Google federated-compute, graph parameter finder, semi-malicious server:
# members, corrupt rate, dropout rate -> neighbours k, threshold t.
PUBLISHED = [
    (200, ".1", ".1", 56, 39),
    (1000, ".1", ".1", 96, 67),
    (100, ".3", ".3", 92, 62),
    (1000, ".3", ".3", 872, 584),
    (10, ".05", ".33", 8, 5),
    (100, ".05", ".33", 72, 39),
    (1000, ".05", ".33", 398, 223),
    (10, ".33", ".05", 4, 4),
    (100, ".33", ".05", 42, 37),
    (1000, ".33", ".05", 132, 109),
    (10, ".05", ".05", 2, 2),
    (100, ".05", ".05", 16, 11),
    (1000, ".05", ".05", 52, 37),
    (10, ".33", "0", 4, 4),
    (100, ".33", "0", 26, 26),
    (1000, ".33", "0", 38, 37),
    (10, "0", ".33", 8, 5),
    (100, "0", ".33", 68, 35),
    (1000, "0", ".33", 228, 115),
    (10, "0", "0", 2, 2),
    (100, "0", "0", 2, 2),
    (1000, "0", "0", 2, 2),
]


@pytest.mark.parametrize(("members", "corrupt", "dropout", "k", "t"), PUBLISHED)
def test_the_ring_has_the_published_parameters(members, corrupt, dropout, k, t):
    # Rates as fractions: in floats, (1 - 0.1) * 1000 may round up to 901.
    colluding = floor(Fraction(corrupt) * members)
    dropped = members - ceil((1 - Fraction(dropout)) * members)
    assert ring_parameters(members, colluding, dropped) == (k, t)


@pytest.mark.parametrize(("members", "bad"), [(100, 45), (1000, 450), (70, 40)])
def test_a_ring_that_bears_no_such_attack_is_refused(members, bad):
    with pytest.raises(ConfigError, match="assume fewer") as refused:
        ring_parameters(members, bad, bad)
    assert refused.value.path == "secure_aggregation.group_size"


def test_two_lists_of_survivors_cannot_both_collect_t_signatures_of_k_holders():
    for members in range(65, 400, 37):
        for colluding in (0, members // 20, members // 10):
            k, t = ring_parameters(members, colluding, members // 10)
            c = graphs._quantile(members, colluding, k, Fraction(1, members << 41))
            lost = graphs._quantile(members, members // 10, k, Fraction(1, members << 20))
            assert 2 * t > k + c
            assert c < t <= k - lost
            assert k % 2 == 0


def test_groups_of_up_to_64_are_complete_and_larger_ones_need_a_bound_on_dropouts():
    assert shape(64, None, 6, None) == graphs.Shape(64, 36, 36)
    assert shape(64, None, 6, Fraction(1, 10)) == graphs.Shape(64, 36, 58)
    assert shape(200, None, 20, Fraction(1, 10)) == graphs.Shape(56, 39, 180)
    with pytest.raises(ConfigError, match="bound on dropouts"):
        shape(65, None, 0, None)


def ring(members=70, reach=5, seed=b"s" * 32) -> Graph:
    return graphs._graph(tuple(range(members)), 2 * reach, seed)


@pytest.mark.parametrize("members", [70, 71])
@pytest.mark.parametrize("reach", [1, 5, 34])
def test_the_ring_is_mutual_regular_and_without_oneself(members, reach):
    graph = ring(members, reach)
    for one in graph.order:
        holders = graph.holders(one)
        assert len(holders) == len(set(holders)) == 2 * reach
        assert list(holders) == sorted(holders)
        assert one not in holders
        assert all(one in graph.holders(other) for other in holders)
        assert set(graph.around(one)) == {one, *holders}


def test_holders_are_the_nearest_on_either_side_across_the_seam_too():
    graph = ring(reach=2)
    order = graph.order
    assert graph.around(order[0]) == (*order[-2:], *order[:3])
    assert graph.around(order[-1]) == (*order[-3:], *order[:2])


def test_the_complete_graph_has_everybody_as_holder_and_oneself_too():
    graph = graphs._graph((3, 5, 9), 3, bytes(32))
    assert [graph.holders(one) for one in (3, 5, 9)] == [(3, 5, 9)] * 3
    assert graph.place == {3: 0, 5: 1, 9: 2}


def test_the_order_is_a_permutation_that_depends_on_the_seed():
    orders = {ring(seed=bytes([seed]) * 32).order for seed in range(20)}
    assert len(orders) == 20
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(70))}
    assert ring(seed=b"s" * 32).order == ring(seed=b"s" * 32).order


def test_the_first_place_is_uniform_over_seeds():
    # Chi-square over 8 members and 4,000 seeds; 7 degrees of freedom, P(> 29.9) < 1e-4, and seeds are fixed.
    counts = [0] * 8
    for seed in range(4000):
        counts[graphs._graph(tuple(range(8)), 2, seed.to_bytes(32, "big")).order[0]] += 1
    assert sum((count - 500) ** 2 / 500 for count in counts) < 29.9


def test_the_terms_of_a_round_name_the_graph(make_world):
    world = make_world(
        sizes=(70,), threshold=None, group_min=65, max_dropout=Fraction(1, 10), agreement=0, masking=True
    )
    shaped = world.plan(threshold=None, max_dropout=Fraction(1, 10)).shape(70)
    k, t = ring_parameters(70, 0, 7)
    assert (shaped.holders, shaped.threshold, shaped.survivors) == (k, t, 63)


def test_terms_with_more_holders_than_members_build_no_graph(make_world):
    world = make_world(sizes=(5,), threshold=4)
    seen: list[bytes] = []
    world.run(world.wire(on_request=lambda client, step, data: seen.append(data)))
    terms = from_bytes(seen[0]).terms
    with pytest.raises(DecodeError, match="at most 5 holders, the group's members, got 16384"):
        graph_of(replace(terms, holders=16384))


def test_supported_is_the_largest_set_in_which_all_have_enough_holders_left():
    graph = ring(reach=3)
    draws = random.Random(5)
    for _ in range(30):
        alive = set(draws.sample(range(70), 45))
        left = graph.supported(alive, 4)
        assert left <= alive
        assert all(len(left & set(graph.holders(one))) >= 4 for one in left)
        # Largest: nobody who left could have stayed, in the order in which they left.
        peeled = set(alive)
        for _ in range(70):
            peeled = {one for one in peeled if len(peeled & set(graph.holders(one))) >= 4}
        assert left == peeled


def test_members_whose_holders_leave_take_others_with_them():
    graph = ring(members=70, reach=1)
    order = graph.order
    # On a cycle with t = 2 one gap unravels everything; with t = 1 the arc stays.
    assert graph.supported(set(order[1:]), 2) == set()
    assert graph.supported(set(order[1:]), 1) == set(order[1:])
    assert graph.supported(order, 2) == set(order)


TRIALS = 4000


def within(hits: int, chance: float) -> bool:
    """At most the bound, with 4.5 standard deviations of a binomial for the sampling: P < 4e-6."""
    return hits <= TRIALS * chance + 4.5 * (TRIALS * chance * (1 - chance)) ** 0.5


def test_the_quantile_is_exact_in_a_simulation():
    # Of 20 random members out of 70, 15 of which are marked: more than x are marked with chance <= 1/20.
    x = graphs._quantile(70, 15, 20, Fraction(1, 20))
    draws = random.Random(1)
    marked = [sum(one < 15 for one in draws.sample(range(70), 20)) for _ in range(TRIALS)]
    assert within(sum(count > x for count in marked), 1 / 20)
    # And x is the smallest: for x - 1 the chance is above 1/20 (0.0794), 3 standard deviations beyond.
    assert not within(sum(count > x - 1 for count in marked), 1 / 20)


def test_the_bound_on_falling_apart_holds_in_a_simulation():
    members, k, bad = 70, 6, 20
    bound = float(graphs._disconnected(members, k, bad))
    assert 0.05 < bound < 1  # loose enough to be seen at all in so few trials
    graph = ring(members, k // 2)
    draws, apart = random.Random(2), 0
    for _ in range(TRIALS):
        good = set(draws.sample(range(members), members - bad))
        reached, front = set(), [next(iter(good))]
        while front:
            one = front.pop()
            reached.add(one)
            front += (good & set(graph.holders(one))) - reached
        apart += reached != good
    assert apart > 0
    assert within(apart, bound)


def test_no_group_falls_apart_with_more_holders_than_bad_members():
    assert graphs._disconnected(70, 12, 11) == 0
    assert graphs._disconnected(70, 12, 12) > 0


def test_graph_of_caches_by_terms_and_is_what_everybody_computes(make_world):
    world = make_world(sizes=(4,), threshold=3)
    (outcome,) = world.run()
    assert outcome.failure is None
    terms = world.endpoints[10].opened(next(iter(world.endpoints[10].states))).terms
    assert graph_of(terms) is graph_of(terms)
    assert graph_of(terms).order == (10, 11, 12, 13)
