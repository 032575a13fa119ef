"""Texts to vectors without a language model: hashed words and parts of words.

Rules kept here: the same text gives the same vector in every process; nothing is learned from the texts, so
nothing about them is in the encoder.

What this file does NOT do: know what words mean; `securefl.agent.models.sentence_encoder` does a little.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DIMENSION = 512


def hashed(texts: Sequence[str]) -> NDArray[np.float32]:
    """One row of length 1 per text. Shapes: (n, 512).

    Example:
        >>> near, far = hashed(["the red car", "a red car", "lunch at noon"])[1:] @ hashed(["the red car"])[0]
        >>> bool(near > far)
        True
    """
    from sklearn.feature_extraction.text import HashingVectorizer  # takes seconds; not everybody has notes

    hashing = HashingVectorizer(n_features=DIMENSION, analyzer="char_wb", ngram_range=(3, 5))
    rows: NDArray[np.float32] = hashing.transform(list(texts)).toarray().astype(np.float32)
    return rows
