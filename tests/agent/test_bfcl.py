"""The external exam, where its package is installed."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

import pytest

from securefl.agent import bfcl
from securefl.agent.bfcl import Question
from securefl.calls import Message
from securefl.errors import DataError

needs_data = pytest.mark.skipif(
    find_spec(bfcl.PACKAGE) is None, reason=f"needs {bfcl.REQUIREMENT} (make data)"
)
FUNCTION = {
    "name": "geo.area",
    "parameters": {"properties": {"side": {"type": "integer"}}, "required": ["side"]},
}
ASKED = (Message("user", "the area of a square of side 4?"),)
AREA = Question("q", ASKED, FUNCTION, {"side": [4]})
NONE = Question("n", ASKED, FUNCTION, None)
RIGHT = '{"tool": "geo.area", "arguments": {"side": 4}}'


def test_a_simple_question_wants_the_call_and_an_irrelevant_one_none() -> None:
    assert bfcl.is_right(AREA, f" {RIGHT}\n")
    for reply in ("16", "", RIGHT.replace("4", "5"), RIGHT.replace("geo.", ""), f"{RIGHT} {RIGHT}"):
        assert not bfcl.is_right(AREA, reply)
    assert bfcl.is_right(NONE, "I cannot do that.")
    assert not bfcl.is_right(NONE, RIGHT)
    assert bfcl.accuracy([AREA, NONE], [RIGHT, RIGHT]) == 0.5


def test_no_question_or_a_missing_reply_is_an_error() -> None:
    for questions, replies in (([], []), ([AREA], []), ([AREA], ["a", "b"])):
        with pytest.raises(DataError, match="one reply to each"):
            bfcl.accuracy(questions, replies)


@needs_data
def test_the_published_answers_are_right_and_its_code_never_runs() -> None:
    questions = bfcl.simple()
    assert len(questions) == 400
    replies = [as_call(question) for question in questions]
    assert bfcl.accuracy(questions, replies) == 1.0
    assert bfcl.accuracy(questions, ["I do not know."] * 400) == 0.0
    turned = replies[1:] + replies[:1]
    assert bfcl.accuracy(questions, turned) < 0.02
    assert bfcl.PACKAGE not in sys.modules


@needs_data
def test_irrelevance_is_240_questions_without_a_right_call() -> None:
    questions = bfcl.irrelevance()
    assert len(questions) == 240
    assert bfcl.accuracy(questions, ["No function fits."] * 240) == 1.0
    calls = [json.dumps({"tool": question.function["name"], "arguments": {}}) for question in questions]
    assert bfcl.accuracy(questions, calls) == 0.0


def test_another_version_of_the_files_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    file = tmp_path / "questions.json"
    file.write_text("{}\n")
    monkeypatch.setattr(bfcl, "packaged_file", lambda *names: file)
    with pytest.raises(DataError, match="sha256"):
        bfcl.irrelevance()


def as_call(question: Question) -> str:
    """The first possible answer as a call; what may be left out is left out, where the schema lets it."""
    assert question.possible is not None
    required = question.function["parameters"]["required"]
    arguments = {
        name: plain(next(one for one in allowed if one != ""))
        for name, allowed in question.possible.items()
        if "" not in allowed or name in required
    }
    return json.dumps({"tool": question.function["name"], "arguments": arguments})


def plain(value: object) -> object:
    """A possible answer as a value: its objects' fields are lists of possible values themselves."""
    if isinstance(value, dict):
        return {name: allowed[0] for name, allowed in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value
