from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from securefl import config as configuration
from securefl.config import Config
from securefl.threats import Finding, Settings, Word, load, verify
from securefl.threats.tables import READER
from securefl.threats.trial import RECORDS, Trial, play

Write = Callable[..., Path]


def run(path: Path, **settings: object) -> list[Finding]:
    return verify([load(path)], path, Settings(**settings), lambda done, total, words: None)  # type: ignore[arg-type]


def test_a_claim_is_tried_with_the_defence_on_and_off(model_file: Write) -> None:
    seen: list[tuple[int, int]] = []
    path = model_file()
    (found,) = verify([load(path)], path, Settings(), lambda done, total, words: seen.append((done, total)))
    assert found.verdict.word is Word.HOLDS, found.verdict
    assert found.verdict.defended is not None and found.verdict.defended.samples == 3 * 6
    assert (found.config, found.seeds, found.attacks) == ("tiny", 3, ("label_from_message",))
    assert seen == [(done, 6) for done in range(1, 7)]


def test_a_bound_that_the_open_system_breaks_is_refuted_with_a_witness_that_can_be_played_again(
    model_file: Write,
) -> None:
    open_system = {"system": {"config": "run.yaml", "overrides": ["secure_aggregation.masking=false"]}}
    path = model_file(claim={"bound": 0.1, "requires": []}, **open_system)
    first, second = (run(path)[0].verdict for _ in range(2))
    assert first.word is Word.REFUTED
    assert first.witness == second.witness and first.witness is not None


def test_fast_uses_the_small_budget_or_says_that_there_is_none(model_file: Write) -> None:
    assert run(model_file(), fast=True)[0].seeds == 2
    (found,) = run(model_file(claim={"budget": {"seeds": 2}}), fast=True)
    assert (found.verdict.word, found.verdict.reason) == (Word.NOT_TESTED, "too long for --fast")


def test_a_claim_about_masks_says_nothing_about_a_users_config_without_them(
    model_file: Write, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text((tmp_path / "run.yaml").read_text() if (tmp_path / "run.yaml").exists() else "")
    path = model_file()
    own.write_text((tmp_path / "run.yaml").read_text().replace("{group_size", "{masking: false, group_size"))
    (found,) = run(path, user=own)
    assert found.verdict.word is Word.NOT_TESTED
    assert found.verdict.reason == "does not apply to this config: secure_aggregation.masking is off"


def test_an_experiment_that_cannot_run_is_never_a_success(model_file: Write, tmp_path: Path) -> None:
    path = model_file(claim={"control": {"overrides": ["clients=2"], "bound": 0.4}})
    (shipped,) = run(path)
    (users,) = run(path, user=tmp_path / "run.yaml")
    assert (shipped.verdict.word, users.verdict.word) == (Word.INCONCLUSIVE, Word.NOT_TESTED)
    assert "an experiment could not run" in shipped.verdict.reason


PROOF = {"kind": "proof", "id": "shown", "sentence": "It is shown.", "tests": ["tests/test_x.py::test_it"],
         "residual": ["Something is left."], "out_of_scope": ["Something is out."]}  # fmt: skip


@pytest.mark.parametrize(
    ("test", "word", "reason"),
    [
        ("def test_it(): pass", Word.HOLDS, "1 named test passed"),
        ("def test_it(): assert 0", Word.REFUTED, "tests/test_x.py::test_it fails"),
        (
            "import pytest\ndef test_it(): pytest.skip()",
            Word.NOT_TESTED,
            "tests/test_x.py::test_it was skipped",
        ),
        ("def test_other(): pass", Word.NOT_TESTED, "is not in"),
    ],
)
def test_a_proof_is_what_became_of_its_tests(
    model_file: Write, tmp_path: Path, test: str, word: Word, reason: str
) -> None:
    path = model_file(claims=[PROOF])
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(test)
    (found,) = run(path)
    assert found.verdict.word is word and reason in found.verdict.reason


def test_where_there_are_no_tests_a_proof_is_not_tested(model_file: Write) -> None:
    (found,) = run(model_file(claims=[PROOF]))
    assert (
        found.verdict.word is Word.NOT_TESTED and "an installed package brings none" in found.verdict.reason
    )
    (found,) = run(model_file(claims=[PROOF]), proofs=False)
    assert found.verdict.reason == "left out by --no-proofs"


@pytest.mark.slow
def test_workers_change_no_number(model_file: Write) -> None:
    path = model_file()
    assert run(path, workers=2)[0].verdict == run(path)[0].verdict


def test_the_reader_of_a_model_bets_on_the_same_records_with_the_defence_on_and_off(
    small: Callable[..., Config], tmp_path: Path
) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(configuration.dump(small("server.rounds=1", "secure_aggregation.epoch_rounds=1")))
    plain, private = (
        play(Trial(str(path), off, ((READER, None),), "declared", seed=1))[0]
        for off in (("privacy={unit: none}",), ())
    )
    assert plain.trials == private.trials == RECORDS
    assert 0.0 <= private.harm == private.successes / RECORDS <= 1.0
    again = play(Trial(str(path), (), ((READER, None),), "declared", seed=1))[0]
    assert again == private, "a witness can be played again"
