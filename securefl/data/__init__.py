"""Data sets: loaders that end in validated arrays, and partitions of them among clients."""

from securefl.data.examples import NONE, Dataset, Examples
from securefl.data.load import KINDS, load
from securefl.data.partition import partition

__all__ = ["KINDS", "NONE", "Dataset", "Examples", "load", "partition"]
