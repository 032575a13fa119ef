"""Membership inference: was this example in the training data of that model?

    margins = margin(logits, labels)                      # of the target, and of shadow models
    scores = lira.online(margins, shadow_margins, shadow_members)
    print(hits_at(scores[inside], scores[~inside]))        # at 0.1 % false positives

`log_probability` itself is the score of the loss threshold (Yeom et al. 2018).
"""

from securefl.attacks.inference import lira
from securefl.attacks.inference.rmia import rmia
from securefl.attacks.inference.roc import Hits, area, curve, hits_at
from securefl.attacks.inference.signal import log_probability, margin

__all__ = ["Hits", "area", "curve", "hits_at", "lira", "log_probability", "margin", "rmia"]
