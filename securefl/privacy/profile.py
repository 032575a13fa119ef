"""The whole privacy curve of what was released: delta at any epsilon, by the run's own accountant.

Rules kept here: a pure function of events, as `accountant.epsilon` is, from the same loss distribution; each
delta is an upper bound.

What this file does NOT do: RDP, whose curve is looser than the claim that an audit tries to refute.

Reference: Balle, Barthe and Gaboardi 2018, section 3 (privacy profiles).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.privacy.accountant import loss_distribution
from securefl.privacy.events import Releases


def deltas(spent: Releases, epsilons: NDArray[np.float64]) -> NDArray[np.float64]:
    """The delta of all of `spent` together at each epsilon; zeros for no releases. Shapes: (n,) -> (n,).

    Raises:
        PrivacyError: an event of unknown kind.

    Example:
        >>> from securefl.privacy import SampledGaussian
        >>> found = deltas(((SampledGaussian(1.0, 1.0, 1), 1),), np.array([0.0, 4.38]))
        >>> [float(f"{one:.2g}") for one in found]
        [0.38, 9.9e-06]
    """
    distribution = loss_distribution(spent)
    if distribution is None:
        return np.zeros(len(epsilons))
    return np.asarray(distribution.get_delta_for_epsilon(epsilons), dtype=np.float64)
