"""Client-level privacy of a config: how its clients encode, and what one vector that they send costs.

Rules kept here:
- The noise follows from the clip norm after rounding, from epsilon and from the honest shares that every
  opened sum is guaranteed to have. None of them can be set apart from the others.
- A clip that moves changes none of this: the bit is inside the same bound, at the price of precision.
- Rotated or not: whatever makes the vector shorter. Both cost the same privacy.

What this file does NOT do: check that the config has honest shares at all (`securefl.config`).
"""

from __future__ import annotations

import hashlib

from securefl.config import Config, digest
from securefl.config.learning import ClientPrivacy
from securefl.encoding import AdaptiveClip, NoisyFixedPoint, rounded_norm_squared
from securefl.encoding.rotation import padded
from securefl.errors import ConfigError
from securefl.privacy.discrete import LARGEST_SIGMA, DiscreteGaussian
from securefl.privacy.events import DistributedDiscreteGaussian
from securefl.privacy.shares import share_for


def noisy_sum(
    config: Config, privacy: ClientPrivacy, dim: int
) -> tuple[NoisyFixedPoint, DistributedDiscreteGaussian]:
    """The encoding of a run with privacy.unit `client`, and the event of one release.

    Raises:
        BudgetExceeded: no noise is enough for epsilon.
        ConfigError: the noise is too large for the resolution.
    """
    seed = hashlib.sha256(b"securefl rotation " + digest(config)).digest()
    found = [_encoded(config, privacy, dim, rotation) for rotation in (None, seed)]
    return min(found, key=lambda one: one[0].wire_bytes)


def _encoded(
    config: Config, privacy: ClientPrivacy, dim: int, rotation: bytes | None
) -> tuple[NoisyFixedPoint, DistributedDiscreteGaussian]:
    secagg, adaptive = config.secure_aggregation, _adaptive_clip(config, privacy)
    coordinates = dim + (adaptive is not None)
    event = _release(config, privacy, coordinates if rotation is None else padded(coordinates))
    if event.sigma > LARGEST_SIGMA:
        raise ConfigError(
            f"expected noise of at most {LARGEST_SIGMA:.0f} steps, got {event.sigma:.3g} at {secagg.bits} "
            "bits; lower the bits or raise epsilon",
            "secure_aggregation.bits",
        )
    encoding = NoisyFixedPoint(
        clip_norm=secagg.clip_norm,
        bits=secagg.bits,
        dim=dim,
        members=config.largest_group,
        noise=DiscreteGaussian(event.sigma),
        rotation=rotation,
        sums=config.groups,
        shared=not config.central_noise,
        adaptive=adaptive,
    )
    return encoding, event


def _adaptive_clip(config: Config, privacy: ClientPrivacy) -> AdaptiveClip | None:
    if privacy.adaptive_clip is None:
        return None
    return AdaptiveClip(config.secure_aggregation.clip_norm, **privacy.adaptive_clip.model_dump())


def _release(config: Config, privacy: ClientPrivacy, length: int) -> DistributedDiscreteGaussian:
    return share_for(
        privacy.epsilon,
        privacy.delta,
        releases=config.server.rounds + privacy.spare_releases,
        shares=config.honest_shares,
        squared_sensitivity=rounded_norm_squared(config.secure_aggregation.bits, length),
        length=length,
    )
