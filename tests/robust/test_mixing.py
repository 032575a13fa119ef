import numpy as np
import pytest

from securefl.robust import MIXINGS, Before, named_mixing, rows_after

STEPS = (
    Before("clipping", 1.0),
    Before("quantile_clipping", 0.5),
    Before("bucketing", 3),
    Before("nearest_neighbours"),
)


def test_every_name_is_among_the_steps_tried_here():
    assert {step.name for step in STEPS} == set(MIXINGS)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("count", [3, 4, 9])
def test_the_number_of_rows_is_the_one_foretold(step, count):
    rows = np.random.default_rng(0).normal(size=(count, 2))
    assert named_mixing(step, 1, np.arange)(rows).shape == (rows_after([step], count), 2)


def test_steps_one_after_the_other_are_counted_one_after_the_other():
    assert rows_after((Before("bucketing", 2), Before("clipping", 1.0), Before("bucketing", 3)), 13) == 3
