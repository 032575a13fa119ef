"""The poisoning benchmark's own measure on the smallest cases, and that its halves name the same cells."""

from __future__ import annotations

import pytest


@pytest.fixture
def poisoning(load_benchmark):
    return load_benchmark("poisoning")


def test_at_the_bound_an_attack_stays_inside_the_honest_means_and_beyond_it_does_not(poisoning):
    assert poisoning.outside("foe", 7, 7) <= 0
    assert poisoning.outside("foe", 8, 7) > 100


@pytest.mark.slow
def test_under_masks_it_stays_inside_too(poisoning):
    assert poisoning.outside("nonfinite", 7, 7, masked=True) <= 0


def test_the_peer_and_the_reference_name_cells_of_the_shipped_arena(poisoning, load_benchmark):
    peer = load_benchmark("poisoning_peer")
    arena = poisoning.load(poisoning.CONFIGS / "arena_fashion.yaml")
    attacks = {one.label for one in arena.attacks} | {"none"}
    defences = {one.name for one in arena.defences}
    assert (set(peer.ATTACKS), set(peer.DEFENCES)) == (attacks, defences)
    partitions = {one.label for one in arena.heterogeneity}
    for attack, partition, defence in poisoning.REFERENCE:
        assert (attack in attacks, partition in partitions, defence in defences) == (True, True, True)


def test_beyond_two_attackers_the_grouped_table_keeps_attacks_of_its_arena(poisoning):
    arena = poisoning.load(poisoning.CONFIGS / "arena_grouped.yaml")
    sized = poisoning._sized(arena, 5)
    assert {one.name for one in sized.attacks} == set(poisoning.QUICK)
    assert (sized.attackers, sized.defences[0].robust["max_malicious"]) == ((5,), 5)
