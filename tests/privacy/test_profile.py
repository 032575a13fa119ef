from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from securefl.errors import PrivacyError
from securefl.privacy import SampledGaussian, epsilon
from securefl.privacy.profile import deltas

GRID = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0])


@pytest.mark.parametrize("noise", [0.7, 1.0, 3.0])
def test_the_profile_of_a_gaussian_is_the_exact_one_rounded_up(noise: float) -> None:
    found = deltas(((SampledGaussian(noise, 1.0, 1), 1),), GRID)
    tilt = GRID * noise
    exact = stats.norm.sf(tilt - 0.5 / noise) - np.exp(GRID) * stats.norm.sf(tilt + 0.5 / noise)
    assert (found >= exact - 1e-12).all()
    assert found == pytest.approx(exact, rel=0.02, abs=1e-9)


def test_the_profile_meets_the_accountants_epsilon() -> None:
    spent = ((SampledGaussian(1.2, 0.3, 5), 2),)
    at = epsilon(spent, 1e-5)
    assert deltas(spent, np.array([at]))[0] <= 1e-5 * (1 + 1e-6)
    assert deltas(spent, np.array([at - 0.01]))[0] > 1e-5


def test_nothing_released_has_no_delta_and_unknown_events_no_profile() -> None:
    assert deltas((), GRID).tolist() == [0.0] * len(GRID)
    with pytest.raises(PrivacyError, match="unknown"):
        deltas((("gaussian", 1),), GRID)  # type: ignore[arg-type]
