"""scikit-learn's handwritten digits: 1,797 images of 8x8 in 10 classes, embedded in the package.

Rules kept here: pixels 0..16 become 0..1 by that public constant, so no statistic of the data
enters the features.

What this file does NOT do: download anything.

Reference: Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits" (UCI), test part.
"""

from __future__ import annotations

import numpy as np

from securefl.data.examples import Dataset
from securefl.data.source import Source, image_hash
from securefl.data.split import split

_TOP = 16


def load_digits(test_fraction: float, seed: int) -> Dataset:
    """The digits as (1, 8, 8) images.

    Example:
        >>> data = load_digits(0.2, seed=7)
        >>> len(data.train), len(data.test), data.shape, data.classes
        (1437, 360, (1, 8, 8), 10)
    """
    from sklearn.datasets import load_digits as sklearn_digits  # a second to import: only when used

    pixels, labels = sklearn_digits(return_X_y=True)
    images = pixels.astype(np.uint8).reshape(-1, 8, 8)
    labels = labels.astype(np.int64)
    source = Source(
        name="digits",
        features=images[:, None].astype(np.float32) / np.float32(_TOP),
        labels=labels,
        label_names=tuple(map(str, range(10))),
        source_hash=image_hash(images, labels),
        description="Handwritten digits of scikit-learn: 1,797 images of 8x8, 10 classes (UCI, CC BY 4.0).",
    )
    return split(source, test_fraction, seed)
