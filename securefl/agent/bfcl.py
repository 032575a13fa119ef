"""The external exam: the simple and the irrelevance part of the Berkeley Function Calling Leaderboard 4.

Rules kept here:
- Read from the installed package's files, whose sha256 is pinned; its code never runs. Questions are text
  from outside.
- A simple question is right if the reply is one call that the published possible answers allow (`allows`). An
  irrelevance question is right if the reply is no call that can be read, as the leaderboard counts it.

What this file does NOT do: make a leaderboard score. The prompt and the form of calls are ours, and only
these two parts are asked.

Reference: Patil et al. 2025, "The Berkeley Function Calling Leaderboard (BFCL)", evaluation by abstract
syntax tree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from securefl.agent.allowed_answers import allows
from securefl.calls import Message, read_call
from securefl.data.source import packaged_file, read_capped
from securefl.errors import CallRefused, DataError

PACKAGE, REQUIREMENT = "bfcl_eval", "bfcl-eval==2026.3.23"
_SIMPLE, _IRRELEVANCE = "data/BFCL_v4_simple_python.json", "data/BFCL_v4_irrelevance.json"
_ANSWERS = "data/possible_answer/BFCL_v4_simple_python.json"
_SHA256 = {
    _SIMPLE: "82dd63ba502eb2520c6b5d1d9a5c4b590e03ff261565175561f6228a367d1991",
    _IRRELEVANCE: "2b6ed4c2e992cdcf5f1678a701851f944bef7550ee026ed1ddb89efed5be01a6",
    _ANSWERS: "90cd5bc653690ee8e459b5b3f3fc9458606f7f3fcbf795bb51b7dc581f8c86dc",
}
_CAP_BYTES = 16 << 20
_SYSTEM = (
    'Call a function by writing exactly {"tool": NAME, "arguments": {...}} and nothing else. If no function '
    "fits, answer in words.\nfunctions: "
)


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        function: the one function on offer, as the exam describes it.
        possible: what each argument may be; None where no call is right.
    """

    name: str
    messages: tuple[Message, ...]
    function: Mapping[str, object]
    possible: Mapping[str, object] | None


def simple() -> tuple[Question, ...]:
    """The 400 questions whose answer is one call of the one function on offer.

    Raises:
        DataError: the package is not installed, or its files are not those of the pinned version.
    """
    answers = {_text(row, "id"): row for row in _rows(_ANSWERS)}
    return tuple(_question(row, _possible(answers[_text(row, "id")])) for row in _rows(_SIMPLE))


def irrelevance() -> tuple[Question, ...]:
    """The 240 questions that the function on offer does not answer; refusals as for `simple`."""
    return tuple(_question(row, None) for row in _rows(_IRRELEVANCE))


def accuracy(questions: Sequence[Question], replies: Sequence[str]) -> float:
    """Share of right replies.

    Raises:
        DataError: no question, or not one reply to each.
    """
    if not questions or len(questions) != len(replies):
        raise DataError(
            f"expected questions and one reply to each, got {len(questions)} and {len(replies)}; answer each"
        )
    return sum(is_right(*pair) for pair in zip(questions, replies, strict=True)) / len(questions)


def is_right(question: Question, reply: str) -> bool:
    """Whether a reply is right."""
    try:
        name, arguments = read_call(reply.strip())
    except CallRefused:
        return question.possible is None
    if question.possible is None or name != question.function["name"]:
        return False
    return allows(question.function, question.possible, arguments)


def _question(row: Mapping[str, object], possible: Mapping[str, object] | None) -> Question:
    functions, turns = row["function"], row["question"]
    try:
        (function,) = functions if isinstance(functions, list) else []
        (turn,) = turns if isinstance(turns, list) else []
        asked = "\n".join(message["content"] for message in turn if message["role"] == "user")
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{row['id']}: expected one function and one turn; install {REQUIREMENT}") from None
    messages = (Message("system", _SYSTEM + json.dumps(function)), Message("user", asked))
    return Question(_text(row, "id"), messages, function, possible)


def _possible(row: Mapping[str, object]) -> Mapping[str, object]:
    truth = row["ground_truth"]
    call = truth[0] if isinstance(truth, list) and len(truth) == 1 else None
    arguments = list(call.values()) if isinstance(call, dict) else []
    if len(arguments) != 1 or not isinstance(arguments[0], dict):
        raise DataError(f"{row['id']}: expected one call as possible answer; install {REQUIREMENT}")
    return arguments[0]


def _rows(inside: str) -> list[dict[str, object]]:
    path = packaged_file(PACKAGE, inside, REQUIREMENT)
    content = bytes(read_capped(path, _CAP_BYTES))
    found = hashlib.sha256(content).hexdigest()
    if found != _SHA256[inside]:
        raise DataError(f"{path}: expected sha256 {_SHA256[inside]}, got {found}; install {REQUIREMENT}")
    return [json.loads(line) for line in content.decode().splitlines() if line.strip()]


def _text(row: Mapping[str, object], key: str) -> str:
    return str(row[key])
