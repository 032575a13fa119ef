"""From what was measured to what may be said: HOLDS, REFUTED, INCONCLUSIVE or NOT TESTED.

Every metric measures harm, so a claim says "at most" and its positive control, with the defence off, "at
least". With confidence c and a attacks each one-sided bound has alpha = (1 - c) / a (Bonferroni), so that all
of a side hold together with probability c.

Rules kept here:
- REFUTED: some attack's harm lies above the bound even at the lower end of its interval. Its worst seed is
  the witness. It needs no control: what happened, happened.
- HOLDS: every attack stays under the bound at the upper end, and with the defence off at least one attack
  reaches the control's bound at the lower end. Attacks that did not are named: they show nothing.
- INCONCLUSIVE: anything in between; the reason says whether the control failed or samples are too few.
- The worst attack speaks for the claim. Nothing is averaged over attacks.

What this file does NOT do: run anything, or correct over several claims.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from securefl.threats.observation import Observation
from securefl.threats.statistic import Estimate, mean, proportion


class Word(StrEnum):
    """What a verdict says."""

    HOLDS = "HOLDS"
    REFUTED = "REFUTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_TESTED = "NOT TESTED"


FAILING = frozenset({Word.REFUTED, Word.INCONCLUSIVE})
"""Verdicts that make a run of `verify` fail."""


@dataclass(frozen=True)
class Verdict:
    """What may be said about one claim.

    Attributes:
        word: the verdict.
        reason: why, in one sentence.
        defended: harm of the worst attack with the defence; None where nothing was measured.
        undefended: harm of the most harmful attack with the defence off.
        by_attack: (defended, undefended) of each attack.
        toothless: attacks whose own control did not reach its bound.
        witness: the seed at which the claim broke, for REFUTED.
    """

    word: Word
    reason: str
    defended: Estimate | None = None
    undefended: Estimate | None = None
    by_attack: Mapping[str, tuple[Estimate, Estimate]] = field(default_factory=dict)
    toothless: tuple[str, ...] = ()
    witness: Observation | None = None


def judge(
    defended: Sequence[Observation],
    undefended: Sequence[Observation],
    bound: float,
    control: float,
    confidence: float,
) -> Verdict:
    """The verdict on a measured claim.

    Args:
        defended: by attack and seed, with the system as it is.
        undefended: the same with the defence off.
        bound: harm is at most this.
        control: with the defence off it is at least this.
        confidence: of the whole verdict.
    """
    names = tuple(dict.fromkeys(one.attack for one in defended))
    alpha = (1.0 - confidence) / max(1, len(names))
    by_attack = {
        name: (estimate(_of(defended, name), alpha), estimate(_of(undefended, name), alpha)) for name in names
    }
    if not by_attack:
        return Verdict(Word.INCONCLUSIVE, "nothing was measured")
    word, reason, witness = _word(by_attack, defended, bound, control)
    worst = max((pair[0] for pair in by_attack.values()), key=lambda one: (one.high, one.value))
    strongest = max((pair[1] for pair in by_attack.values()), key=lambda one: (one.low, one.value))
    toothless = tuple(name for name, (_, off) in by_attack.items() if off.low < control)
    return Verdict(word, reason, worst, strongest, by_attack, toothless, witness)


def estimate(observations: Sequence[Observation], alpha: float) -> Estimate:
    """Trials are added up; values are averaged over seeds."""
    if any(one.trials is None for one in observations):
        return mean([one.harm for one in observations], alpha)
    trials = sum(one.trials or 0 for one in observations)
    return proportion(sum(one.successes for one in observations), trials, alpha)


def _word(
    by_attack: Mapping[str, tuple[Estimate, Estimate]],
    defended: Sequence[Observation],
    bound: float,
    control: float,
) -> tuple[Word, str, Observation | None]:
    broken = [name for name, (on, _) in by_attack.items() if on.low > bound]
    if broken:
        name = max(broken, key=lambda one: by_attack[one][0].low)
        seed = max(_of(defended, name), key=lambda one: one.harm)
        return Word.REFUTED, f"{name} at seed {seed.seed} did harm {seed.harm:.3g}", seed
    if all(off.low < control for _, off in by_attack.values()):
        return Word.INCONCLUSIVE, "with the defence off no attack surely reaches the control's bound", None
    unsure = [name for name, (on, _) in by_attack.items() if not on.high <= bound]
    if unsure:
        return (
            Word.INCONCLUSIVE,
            f"too few samples to place {', '.join(unsure)} beside the bound",
            None,
        )
    return Word.HOLDS, "every attack stays under the bound, and with the defence off it is exceeded", None


def _of(observations: Sequence[Observation], attack: str) -> list[Observation]:
    return [one for one in observations if one.attack == attack]
