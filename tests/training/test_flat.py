import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from securefl.errors import DataError
from securefl.training.flat import get_vector, set_vector


def two_layers() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 2))


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=14, max_size=14))
def test_what_is_set_is_got_bit_for_bit(values: list[float]) -> None:
    module, vector = two_layers(), np.array(values, dtype=np.float32)
    set_vector(module, vector)
    assert np.array_equal(get_vector(module), vector)


def test_the_order_is_the_modules_own() -> None:
    module = two_layers()
    set_vector(module, np.arange(14, dtype=np.float32))
    assert module[0].weight.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert module[2].bias.tolist() == [12, 13]


def test_frozen_parameters_are_neither_read_nor_written() -> None:
    module = two_layers()
    module[0].requires_grad_(False)
    before = module[0].weight.clone()
    set_vector(module, np.ones(6, dtype=np.float32))
    assert torch.equal(module[0].weight, before)
    assert get_vector(module).tolist() == [1] * 6


def test_the_module_shares_no_memory_with_the_callers_array() -> None:
    module, vector = two_layers(), np.zeros(14, dtype=np.float32)
    set_vector(module, vector)
    vector[:] = 9
    got = get_vector(module)
    got[:] = 9
    assert not get_vector(module).any()


def test_a_read_only_vector_is_accepted() -> None:
    set_vector(two_layers(), np.frombuffer(bytes(14 * 4), dtype="<f4"))


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(DataError, match="14 trainable parameters"):
        set_vector(two_layers(), np.zeros(13, dtype=np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_that_is_not_finite_is_refused_before_anything_is_written(bad: float) -> None:
    module = two_layers()
    before = get_vector(module)
    vector = np.zeros(14, dtype=np.float32)
    vector[5] = bad
    with pytest.raises(DataError, match="not finite"):
        set_vector(module, vector)
    assert np.array_equal(get_vector(module), before)
