"""Metrics of an exam: what each counts, and what it refuses to count."""

from __future__ import annotations

import json

import pytest

from securefl.agent import exam
from securefl.calls import Call
from securefl.data.dialogues import dialogues, known_to
from securefl.errors import DataError

DOMAIN = "medical_booking"
EXAMPLES = [one for client in range(3) for one in dialogues(DOMAIN, 2, client, "test", 20)]
RIGHT = [one.answer for one in EXAMPLES]
CALLS = [one for one in EXAMPLES if one.kind == "call"]
VISIT = next(one for one in CALLS if one.call and one.call.tool == "book_visit")


def only(*replies: str) -> tuple[list[object], list[str]]:
    return [VISIT] * len(replies), list(replies)


def changed(**arguments: object) -> str:
    assert VISIT.call is not None
    return Call(VISIT.call.tool, {**VISIT.call.arguments, **arguments}).text


def test_right_replies_score_one_everywhere() -> None:
    for metric in exam.METRICS.values():
        assert metric(EXAMPLES, RIGHT) == 1.0


@pytest.mark.parametrize(
    "reply", ["", "{", "{}", "x" * 99_999, "\x1b", '{"tool": "book_visit", "arguments": {}}']
)
def test_what_does_not_parse_scores_nothing_anywhere(reply: str) -> None:
    assert {metric(EXAMPLES, [reply] * len(EXAMPLES)) for metric in exam.METRICS.values()} == {0.0}


def test_each_metric_counts_what_it_says() -> None:
    other = Call("show_results", {"case": "A1"}).text
    replies = only(VISIT.answer, changed(patient="Nobody"), changed(hour=9, day="friday"), other, "Gladly!")
    assert VISIT.call is not None
    same = sum(VISIT.call.arguments[name] == value for name, value in (("hour", 9), ("day", "friday")))
    assert exam.valid_call_rate(*replies) == pytest.approx(4 / 5)
    assert exam.tool_accuracy(*replies) == pytest.approx(3 / 5)
    assert exam.whole_call_match(*replies) == pytest.approx((1 + (same == 2)) / 5)
    assert exam.argument_match(*replies) == pytest.approx((1 + 2 / 3 + (1 + same) / 3) / 5)


def test_no_call_counts_words_only() -> None:
    unfit = next(one for one in EXAMPLES if one.kind == "unfit")
    replies = ["Sorry, I cannot.", VISIT.answer, "{", ""]
    assert exam.no_call_accuracy([unfit] * 4, replies) == 0.25


def test_a_share_of_nothing_is_an_error() -> None:
    for metric in exam.METRICS.values():
        with pytest.raises(DataError, match="at least one example"):
            metric([], [])
    with pytest.raises(DataError):
        exam.no_call_accuracy(CALLS, [one.answer for one in CALLS])
    with pytest.raises(DataError):
        exam.spread([])
    with pytest.raises(DataError):
        exam.leakage(["hello"], [])
    with pytest.raises(DataError, match="replies to probes"):
        exam.leakage([], ["Kuzori"])


def test_one_reply_per_example_is_demanded() -> None:
    for metric in exam.METRICS.values():
        with pytest.raises(DataError, match="one reply per example"):
            metric(EXAMPLES, RIGHT[1:])
    with pytest.raises(DataError, match="one reply per example"):
        exam.per_client(exam.tool_accuracy, EXAMPLES, RIGHT[1:])


def test_a_metric_per_client_and_its_spread() -> None:
    replies = [one.answer if one.client else "hm" for one in EXAMPLES]
    found = exam.per_client(exam.whole_call_match, EXAMPLES, replies)
    assert found == {0: 0.0, 1: 1.0, 2: 1.0}
    assert exam.spread(found.values()) == exam.Spread(pytest.approx(2 / 3), 0.0)
    assert exam.spread([0.3]) == exam.Spread(0.3, 0.3)
    assert exam.spread([0.0, 0.5] + [1.0] * 9).worst_decile == 0.25, "11 clients: the worst two"


def test_leakage_is_the_share_of_entities_that_any_reply_contains() -> None:
    foreign = known_to(DOMAIN, 2, 1)
    assert exam.leakage(["nothing here"], foreign) == 0.0
    said = [f"I know {foreign[0]}.", f"and {foreign[3]}, {foreign[0]}"]
    assert exam.leakage(said, foreign) == pytest.approx(2 / len(foreign))
    assert exam.leakage([" ".join(foreign)], foreign) == 1.0
    assert exam.leakage([" ".join(foreign)], known_to(DOMAIN, 2, 0)) == 0.0


def test_a_report_says_that_the_data_is_synthetic() -> None:
    told = exam.report(EXAMPLES, RIGHT)
    assert told["synthetic"] is True
    assert "synthetic: true" in str(told["data"])
    assert json.loads(json.dumps(told))["metrics"]["whole_call"] == {"mean": 1.0, "worst_decile": 1.0}
