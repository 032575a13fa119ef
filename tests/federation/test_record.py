"""The round record: plain JSON, and no field in which one client's numbers could hide."""

from __future__ import annotations

import json
from dataclasses import fields

from securefl.federation import GroupRecord, RoundRecord
from securefl.federation.record import as_json

GROUP = GroupRecord(0, (1, 4, 7), (1, 7), "summed", None, (4,))
RECORD = RoundRecord(
    round=2,
    attempt=1,
    status="done",
    reason=None,
    groups=(GROUP,),
    dropped=(4,),
    rows_used=1,
    update_norm=0.5,
    bytes_up={1: 10, 7: 11},
    bytes_down={1: 20, 7: 21},
    seconds={"training": 1.5},
    refusals={4: "DataError: not finite"},
    simulation_only={"client_loss": {"1": 0.25}},
)


def test_a_record_survives_json_unchanged() -> None:
    plain = as_json(RECORD)
    again = json.loads(json.dumps(plain, allow_nan=False))
    assert again["bytes_up"] == {"1": 10, "7": 11}
    assert again["refusals"] == {"4": "DataError: not finite"}
    assert again["groups"][0] == {
        "group": 0,
        "members": [1, 4, 7],
        "survivors": [1, 7],
        "status": "summed",
        "failure": None,
        "blamed": [4],
    }
    assert json.loads(json.dumps(again)) == again


def test_what_only_a_simulation_knows_has_one_field_and_is_empty_unless_asked_for() -> None:
    required = {
        "round", "attempt", "status", "reason", "groups", "dropped", "rows_used", "update_norm",
        "bytes_up", "bytes_down",
    }  # fmt: skip
    # A new field has to be argued for here: the server may know it, and it is not one client's own.
    # `clip` and `within` come from noisy sums, and the clip goes to everybody.
    # cross_term: of all clients together, and only where masking is off, so that updates are seen anyway.
    assert {field.name for field in fields(RoundRecord)} == required | {
        "seconds", "refusals", "simulation_only", "clip", "within", "cross_term",
    }  # fmt: skip
    plain = {name: getattr(RECORD, name) for name in required}
    assert as_json(RoundRecord(**plain))["simulation_only"] == {}
