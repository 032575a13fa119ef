"""A classifier that reads the mean of a text's last hidden states, as sentence encoders are meant to be read.

What this file does NOT do: load the encoder (`transformer`).

Reference: Reimers and Gurevych 2019, "Sentence-BERT", section 3 (mean pooling).
"""

from __future__ import annotations

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class MeanPooled(nn.Module):
    """An encoder and a new linear layer, called and answering as a classifier of transformers."""

    def __init__(self, encoder: PreTrainedModel, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = encoder.config
        self.score = nn.Linear(encoder.config.hidden_size, classes, dtype=encoder.dtype)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        """Shapes: (n, positions) both -> logits (n, classes)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        there = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * there).sum(1) / there.sum(1).clamp(min=1)
        return SequenceClassifierOutput(logits=self.score(mean))
