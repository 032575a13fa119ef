from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.threats.observation import Observation
from securefl.threats.verdict import FAILING, Word, judge


def hits(attack: str, successes: Sequence[int], of: int = 20) -> list[Observation]:
    return [Observation(attack, seed, hit / of, hit, of) for seed, hit in enumerate(successes)]


def values(attack: str, harms: Sequence[float]) -> list[Observation]:
    return [Observation(attack, seed, harm) for seed, harm in enumerate(harms)]


STRONG, WEAK = [20, 20, 19], [0, 1, 0]


def test_a_claim_holds_if_harm_stays_under_the_bound_and_the_control_exceeds_its_own() -> None:
    found = judge(hits("a", WEAK), hits("a", STRONG), bound=0.2, control=0.5, confidence=0.95)
    assert (found.word, found.toothless, found.witness) == (Word.HOLDS, (), None)
    assert found.defended is not None and found.defended.samples == 60


def test_a_refuted_claim_names_attack_seed_and_value_of_the_worst_run() -> None:
    both = [*hits("a", WEAK), *hits("b", [12, 18, 15])]
    found = judge(both, [*hits("a", STRONG), *hits("b", STRONG)], 0.2, 0.5, 0.95)
    assert found.word is Word.REFUTED
    assert found.witness == Observation("b", 1, 0.9, 18, 20)
    assert "b at seed 1 did harm 0.9" in found.reason


def test_what_happened_refutes_a_claim_even_if_the_control_failed() -> None:
    assert judge(hits("a", STRONG), hits("a", WEAK), 0.2, 0.5, 0.95).word is Word.REFUTED


def test_an_attack_that_fails_with_the_defence_off_proves_nothing() -> None:
    found = judge(hits("a", WEAK), hits("a", WEAK), 0.2, 0.5, 0.95)
    assert found.word is Word.INCONCLUSIVE
    assert found.toothless == ("a",)
    assert "defence off" in found.reason


def test_an_attack_without_teeth_is_named_beside_one_that_works() -> None:
    off = [*hits("a", STRONG), *hits("b", WEAK)]
    found = judge([*hits("a", WEAK), *hits("b", WEAK)], off, 0.2, 0.5, 0.95)
    assert (found.word, found.toothless) == (Word.HOLDS, ("b",))


def test_too_few_samples_are_inconclusive() -> None:
    found = judge(hits("a", [0], of=5), hits("a", [20]), 0.2, 0.5, 0.95)
    assert found.word is Word.INCONCLUSIVE
    assert "too few samples" in found.reason


def test_one_seed_says_nothing_about_a_mean() -> None:
    found = judge(values("a", [0.0]), values("a", [0.9, 0.9, 0.91]), 0.2, 0.5, 0.95)
    assert (found.word, "too few" in found.reason) == (Word.INCONCLUSIVE, True)


def test_the_worst_attack_speaks_for_the_claim() -> None:
    on = [*values("a", [0.0, 0.01, 0.0]), *values("b", [0.10, 0.11, 0.10])]
    off = [*values("a", [0.8, 0.81, 0.8]), *values("b", [0.7, 0.7, 0.72])]
    found = judge(on, off, 0.2, 0.5, 0.95)
    assert found.defended is not None and found.defended.value == pytest.approx(0.31 / 3)
    assert found.undefended is not None and found.undefended.value == pytest.approx(2.41 / 3)


def test_more_attacks_share_one_confidence() -> None:
    # 0 of 59 is below 0.05 with confidence 0.95 (0.95^59 = 0.0485), but not with half of the error allowed.
    one = judge(hits("a", [0], of=59), hits("a", STRONG), 0.05, 0.5, 0.95)
    two = judge(
        [*hits("a", [0], of=59), *hits("b", [0], of=59)],
        [*hits("a", STRONG), *hits("b", STRONG)],
        0.05,
        0.5,
        0.95,
    )
    assert (one.word, two.word) == (Word.HOLDS, Word.INCONCLUSIVE)


def test_nothing_measured_is_inconclusive() -> None:
    assert judge([], [], 0.2, 0.5, 0.95).word is Word.INCONCLUSIVE


def test_exactly_refuted_and_inconclusive_fail() -> None:
    assert {Word.REFUTED, Word.INCONCLUSIVE} == FAILING


counts = st.lists(st.integers(0, 20), min_size=1, max_size=5)


@settings(deadline=None)
@given(counts, counts, st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.sampled_from([0.5, 0.9, 0.999]))
def test_a_verdict_never_contradicts_its_own_intervals(
    on: list[int], off: list[int], bound: float, control: float, confidence: float
) -> None:
    found = judge(hits("a", on), hits("a", off), bound, control, confidence)
    assert found.defended is not None and found.undefended is not None
    if found.word is Word.HOLDS:
        assert found.defended.high <= bound and found.undefended.low >= control
    if found.word is Word.REFUTED:
        assert found.defended.value > bound
    assert (found.witness is not None) == (found.word is Word.REFUTED)
