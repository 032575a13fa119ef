"""Calls of tools as text: declared tools, canonical texts, a parser, a grammar read by character."""

from securefl.calls.call import Call, Value, checked
from securefl.calls.grammar import Expression, alphabet, complete, replies, shortest, step
from securefl.calls.message import Message, Role
from securefl.calls.reply import Answer, Reply, is_prose, parse, read_call
from securefl.calls.tool import ARGUMENTS, Tool, by_name

__all__ = [
    "ARGUMENTS",
    "Answer",
    "Call",
    "Expression",
    "Message",
    "Reply",
    "Role",
    "Tool",
    "Value",
    "alphabet",
    "by_name",
    "checked",
    "complete",
    "is_prose",
    "parse",
    "read_call",
    "replies",
    "shortest",
    "step",
]
