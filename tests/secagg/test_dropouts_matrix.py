"""Who vanishes when: every cell of the dropout matrix is exact to the integer or a typed abort.

    6 points x {request lost, reply lost} x {one client, 10, 20, 30, 40 %} x n in {3, 5, 10, 20, 50}
    x groups {1, 2, 4} x 2 thresholds = 1,800 cells

A cell is a draw of groups by commit and reveal and one round in these groups. What it must give is
stated here from the definition alone: a group has a sum exactly if at least t of its members are left.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import pytest

from securefl.errors import ConfigError, GroupAborted
from securefl.secagg import Step, aggregate, check_threshold, draw_groups

POINTS = (Step.REVEAL, Step.ADVERTISE, Step.SHARE, Step.MASK, Step.CONFIRM, Step.UNMASK)
KINDS = ("request", "reply")
RATES = (0.0, 0.1, 0.2, 0.3, 0.4)
"""Share of the members that vanish; 0 stands for exactly one of them."""
SHAPES = tuple(product((3, 5, 10, 20, 50), (1, 2, 4), ("majority", "three quarters")))
MAX_REDRAWS = 3
MOST_EXCHANGES = 2 * (MAX_REDRAWS + 1) + 5
EXACT, ABORT, REFUSED = "exact", "typed abort", "refused at configuration"


class Cell(NamedTuple):
    """One cell of the matrix."""

    members: int
    groups: int
    level: str
    rate: float
    at: Step
    kind: str


def cells_of(shape):
    return [Cell(*shape, *rest) for rest in product(RATES, POINTS, KINDS)]


# The definition ----------------------------------------------------------------------------------


def dealt(count, groups):
    """How many of `count` things each group gets when they are dealt out like cards."""
    return [count // groups + (group < count % groups) for group in range(groups)]


def threshold_of(cell):
    largest = dealt(cell.members, cell.groups)[0]
    return max(2, largest // 2 + 1 if cell.level == "majority" else 3 * largest // 4 + 1)


def lost_of(cell):
    """How many vanish: the rate rounded up, and at least one."""
    return max(1, -(-round(cell.rate * 100) * cell.members // 100))


def left_of(cell):
    """By group, how many members are still there in the end."""
    lost = lost_of(cell)
    if cell.at == Step.REVEAL:  # the draw is repeated among the others, so all groups are of those left
        return dealt(cell.members - lost, cell.groups)
    return [size - gone for size, gone in zip(planned_of(cell), dealt(lost, cell.groups), strict=True)]


def planned_of(cell):
    return dealt(cell.members, cell.groups)


def expected_of(cell):
    threshold = threshold_of(cell)
    if min(planned_of(cell)) < threshold:
        return REFUSED
    return EXACT if min(left_of(cell)) >= threshold else ABORT


# The run -----------------------------------------------------------------------------------------


@dataclass
class Counted:
    """An exchange that gives up on a server that never stops asking."""

    wire: object
    calls: int = 0

    def __call__(self, requests):
        self.calls += 1
        assert self.calls <= MOST_EXCHANGES
        return self.wire(requests)


def play(world, cell):
    """What the cell gives when real members and the real server play it."""
    threshold, chance = threshold_of(cell), random.Random(str(cell))
    try:
        for size in set(planned_of(cell)):
            check_threshold(size, threshold, 0)
    except ConfigError:
        return REFUSED
    lost = set(chance.sample(world.roster.ids, lost_of(cell))) if cell.at == Step.REVEAL else set()
    exchange = Counted(world.losing(lost, cell.at, cell.kind))
    try:
        draw = draw_groups(world.epoch(cell.groups, max_redraws=MAX_REDRAWS), exchange)
    except (GroupAborted, ConfigError):
        assert all(endpoint.trained == 0 for endpoint in world.endpoints.values())
        return ABORT
    assert set(draw.withheld) == lost
    if cell.at != Step.REVEAL:
        for group, gone in zip(draw.groups, dealt(lost_of(cell), cell.groups), strict=True):
            lost |= set(chance.sample(group, gone))
    plan = world.plan(groups=draw.groups, group_seed=draw.seed, evidence=draw.evidence)
    outcomes = aggregate(plan, b"model", exchange)
    assert exchange.wire.exposed(threshold) == set()
    exact = [check_group(world, outcome, lost, cell) for outcome in outcomes]
    assert len(exact) == cell.groups
    return EXACT if all(exact) else ABORT


def check_group(world, outcome, lost, cell):
    """True if the group's sum is exact, False if it aborted; anything else fails."""
    left = tuple(client for client in outcome.members if client not in lost)
    assert outcome.blamed == ()
    if len(left) < threshold_of(cell):
        assert (outcome.total, outcome.survivors) == (None, ())
        assert "expected at least" in outcome.failure
        return False
    assert outcome.survivors == (left if cell.at <= Step.MASK else outcome.members)
    assert outcome.failure is None
    assert outcome.total.tolist() == world.expected(outcome.survivors)
    return True


def run(make_world, cells):
    """Plays the cells and counts what they gave; each one is held against its definition."""
    worlds, counts = {}, Counter()
    for cell in cells:
        key = (cell.members, threshold_of(cell), cell.groups)
        if key not in worlds:
            worlds[key] = make_world(
                sizes=(cell.members,),
                threshold=key[1],
                length=8,
                epoch_rounds=4,
                group_min=key[1],
                groups=cell.groups,
            )
        found = play(worlds[key].fresh(), cell)
        assert found == expected_of(cell), cell
        counts[found] += 1
    print(dict(counts))
    return counts


# The tests ---------------------------------------------------------------------------------------


def test_the_matrix_has_1800_cells_of_which_the_definition_makes_so_many_feasible():
    counts = Counter(expected_of(cell) for shape in SHAPES for cell in cells_of(shape))
    assert counts == {EXACT: 984, ABORT: 336, REFUSED: 480}
    assert counts.total() == 1800


QUICK = (
    (3, 1, "majority", 0.0),
    (5, 1, "three quarters", 0.1),
    (5, 2, "majority", 0.2),
    (10, 1, "majority", 0.4),
    (10, 2, "three quarters", 0.3),
)


@pytest.mark.parametrize("quick", QUICK)
def test_sixty_cells_are_exact_or_typed_aborts(make_world, quick):
    cells = [Cell(*quick, at, kind) for at in POINTS for kind in KINDS]
    assert run(make_world, cells).total() == 12


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_cell_is_exact_to_the_integer_or_a_typed_abort(make_world, shape):
    assert run(make_world, cells_of(shape)).total() == 60
