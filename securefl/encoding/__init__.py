"""Float vector to ring vector and back: fixed point with random rounding, with or without noise; packing.

Reads randomness from a caller's `securefl.crypto.Stream`; knows no protocol and no privacy.
"""

from securefl.encoding.adaptive_clip import AdaptiveClip
from securefl.encoding.encoding import Encoding
from securefl.encoding.fixed_point import FixedPoint, clip_to_norm, quantise
from securefl.encoding.noisy_fixed_point import IntegerNoise, NoisyFixedPoint, rounded_norm_squared
from securefl.encoding.packing import pack, pack_in_place, packed_size, unpack
from securefl.encoding.subsample import Subsample

__all__ = [
    "AdaptiveClip",
    "Encoding",
    "FixedPoint",
    "IntegerNoise",
    "NoisyFixedPoint",
    "Subsample",
    "clip_to_norm",
    "pack",
    "pack_in_place",
    "packed_size",
    "quantise",
    "rounded_norm_squared",
    "unpack",
]
