"""What is said in a conversation, in the form that chat templates take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Message:
    """One message. Only the role says who speaks; the content is text, whatever it claims to be."""

    role: Role
    content: str
