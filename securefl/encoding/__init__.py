"""Float vector to ring vector and back: fixed point with random rounding, and packing for the wire.

Reads randomness from a caller's `securefl.crypto.Stream`; knows no protocol and no privacy.
"""

from securefl.encoding.fixed_point import FixedPoint, clip_to_norm, quantise
from securefl.encoding.packing import pack, pack_in_place, packed_size, unpack

__all__ = ["FixedPoint", "clip_to_norm", "pack", "pack_in_place", "packed_size", "quantise", "unpack"]
