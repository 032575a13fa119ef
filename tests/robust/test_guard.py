import numpy as np
import pytest

from securefl.crypto import SeededRandomness
from securefl.encoding import FixedPoint
from securefl.robust import SoundRows, sound_rows


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [0, 4, 9])
@pytest.mark.parametrize("bound", [None, 1.0])
def test_one_non_finite_coordinate_anywhere_excludes_its_row_alone(bad, position, bound):
    rows = np.zeros((3, 10))
    rows[1, position] = bad
    assert sound_rows(rows, bound) == SoundRows(kept=(0, 2), nonfinite=(1,), oversized=())


def test_a_row_at_the_bound_is_kept_and_the_next_float_is_not():
    rows = np.array([[1.0, 0.0], [np.nextafter(1.0, 2.0), 0.0], [-1.0, 0.0]])
    assert sound_rows(rows, 1.0) == SoundRows(kept=(0, 2), nonfinite=(), oversized=(1,))


def test_without_a_bound_any_finite_row_is_kept():
    rows = np.array([[0.0], [1e308], [-1e308]])
    assert sound_rows(rows, None).kept == (0, 1, 2)


def test_norms_of_float32_rows_are_accumulated_in_float64():
    rows = np.full((1, 1_000_000), 1e-4, dtype=np.float32)
    norm = float(np.float32(1e-4)) * 1000.0
    assert sound_rows(rows, norm * (1 + 1e-9)).kept == (0,)
    assert sound_rows(rows, norm * (1 - 1e-9)).oversized == (0,)


def test_a_finite_row_whose_norm_overflows_is_oversized_without_a_warning():
    rows = np.array([[1e308, 1e308], [3e38, 3e38]])
    assert sound_rows(rows, 1e300).oversized == (0,)
    assert sound_rows(rows.astype(np.float64), 1.0).oversized == (0, 1)


@pytest.mark.parametrize("bits", [4, 8, 16, 32])
@pytest.mark.parametrize("dim", [1, 10, 1000])
@pytest.mark.parametrize("rotation", [None, b"g" * 32])
def test_a_mean_of_honest_updates_at_the_clip_norm_is_never_excluded(bits, dim, rotation):
    codec = FixedPoint(clip_norm=1.0, bits=bits, dim=dim, members=4, rotation=rotation)
    stream = SeededRandomness(b"guard").stream(bits, dim)
    update = np.random.default_rng(dim).normal(size=dim) * 100.0
    for _ in range(20):
        total = np.add.reduce([codec.encode(update, stream) for _ in range(4)], axis=0, dtype=codec.dtype)
        row, _ = codec.decode(total, 4)
        assert sound_rows(row[None, :], codec.norm_bound).kept == (0,)


def test_rows_are_not_changed():
    rows = np.array([[np.nan, 1.0], [2.0, 3.0]])
    before = rows.copy()
    sound_rows(rows, 1.0)
    np.testing.assert_array_equal(rows, before)
