"""Agents on a language model: tools, calls within limits, one turn after another, local memory, and the exam.

Import `securefl.agent.models` for models of transformers; nothing else here needs torch.
"""

from securefl.agent.decoder import Decoder, decode
from securefl.agent.encoders import hashed
from securefl.agent.memory import Memory, with_notes
from securefl.agent.registry import Desk, Limits, Registry
from securefl.agent.turn import Generate, Turn, take_turn

__all__ = [
    "Decoder",
    "Desk",
    "Generate",
    "Limits",
    "Memory",
    "Registry",
    "Turn",
    "decode",
    "hashed",
    "take_turn",
    "with_notes",
]
