"""A run of `verify`: threat models in, one finding per claim out.

Rules kept here:
- Experiments run in spawned worker processes with one torch thread each; results do not depend on how many.
- A claim that cannot apply to a config is NOT TESTED with the reason, never silently HOLDS.
- An experiment that breaks off makes its claim INCONCLUSIVE, with the error's own words.

What this file does NOT do: print.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from securefl.config import Config
from securefl.errors import ConfigError, DataError, SecureFLError
from securefl.threats import document, proof, tables
from securefl.threats.model import AttackName, Measured, Proof, ThreatModel
from securefl.threats.observation import Observation
from securefl.threats.trial import Trial, play
from securefl.threats.verdict import FAILING, Verdict, Word, judge
from securefl.threats.workers import mapped

Progress = Callable[[int, int, str], None]
"""(experiments done, all experiments, what was just done)."""
Result = tuple[Observation, ...] | str
"""Of one trial: what was observed, or why nothing was."""


@dataclass(frozen=True)
class Settings:
    """How a campaign is run.

    Attributes:
        user: a config that takes the place of the files' own, or None.
        fast: whether the small budgets are used.
        workers: processes; 1 stays in this one.
        proofs: whether the tests of proofs are run.
    """

    user: Path | None = None
    fast: bool = False
    workers: int = 1
    proofs: bool = True


@dataclass(frozen=True)
class Finding:
    """One claim and what may be said about it.

    Attributes:
        model: the threat model.
        claim: the claim.
        verdict: what may be said.
        config: name of the config that was attacked; "" for a proof.
        seeds: how many seeds were tried; 0 for a proof.
        attacks: labels of the attacks that were tried.
    """

    model: ThreatModel
    claim: Measured | Proof
    verdict: Verdict
    config: str = ""
    seeds: int = 0
    attacks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`model/claim`."""
        return f"{self.model.id}/{self.claim.id}"

    @property
    def failing(self) -> bool:
        """Whether it makes `verify` exit with an error."""
        return self.verdict.word in FAILING


@dataclass(frozen=True)
class _Plan:
    """A claim with what has to be run for it."""

    model: ThreatModel
    claim: Measured | Proof
    skip: str | None
    trials: tuple[tuple[bool, Trial], ...] = ()


def verify(
    models: Sequence[ThreatModel], place: Path, settings: Settings, progress: Progress
) -> list[Finding]:
    """Tests every claim of the models.

    Args:
        models: from `document.load_all`.
        place: the file or folder that they come from; the tests of proofs are looked for above it.
        settings: how.
        progress: called after every experiment.

    Raises:
        ConfigError: a shipped config cannot run, or the user's is no config.
    """
    plans = [_plan(model, claim, place, settings) for model in models for claim in model.claims]
    proofs = [one.claim for one in plans if isinstance(one.claim, Proof) and one.skip is None]
    nodes = [node for claim in proofs for node in claim.tests]
    jobs = [trial for one in plans for _, trial in one.trials]
    root = proof.root_of(place / "x")
    results: dict[Trial, Result] = {}
    fates: proof.Fates = {}
    if nodes and root is not None:
        progress(0, len(jobs), f"{len(set(nodes))} named tests")
        fates = proof.run(nodes, root)
    distinct = list(dict.fromkeys(jobs))
    for batch, found in mapped(_tried_all, _batches(distinct), settings.workers):
        results |= dict(zip(batch, found, strict=True))
        progress(len(results), len(distinct), f"seed {batch[0].seed}")
    return [_finding(one, results, fates, settings) for one in plans]


def _plan(model: ThreatModel, claim: Measured | Proof, place: Path, settings: Settings) -> _Plan:
    system = document.system_config(model, settings.user)
    skip = _inapplicable(claim.requires, system)
    if isinstance(claim, Proof):
        skip = skip or (None if settings.proofs else "left out by --no-proofs")
        return _Plan(model, claim, skip or proof.missing(claim.tests, proof.root_of(place / "x")))
    if skip is None and settings.fast and claim.budget.fast_seeds is None:
        skip = "too long for --fast"
    if skip is not None:
        return _Plan(model, claim, skip)
    trials = tuple(_trials(model, claim, settings))
    return _Plan(model, claim, None, trials)


def _trials(model: ThreatModel, claim: Measured, settings: Settings) -> Iterator[tuple[bool, Trial]]:
    """(whether the defence is on, trial) for each side and seed."""
    target = document.target(model, claim, settings.user, settings.fast)
    attacks = tuple((one.name, one.strength) for one in _attacks(claim, settings))
    for seed in range(_seeds(claim, settings)):
        yield True, Trial(target.config, target.defended, attacks, claim.count, seed)
        yield False, Trial(target.config, target.undefended, attacks, claim.control.count, seed)


def _attacks(claim: Measured, settings: Settings) -> list[AttackName]:
    chosen = claim.budget.fast_attacks if settings.fast else ()
    return [one for one in claim.attacks if not chosen or one.label in chosen]


def _seeds(claim: Measured, settings: Settings) -> int:
    return claim.budget.fast_seeds or 0 if settings.fast else claim.budget.seeds


def _inapplicable(requires: Sequence[str], config: Config) -> str | None:
    reasons = [reason for has, reason in (tables.REQUIRES[word] for word in requires) if not has(config)]
    return f"does not apply to this config: {'; '.join(reasons)}" if reasons else None


def _finding(
    plan: _Plan,
    results: Mapping[Trial, Result],
    fates: proof.Fates,
    settings: Settings,
) -> Finding:
    if plan.skip is not None:
        return Finding(plan.model, plan.claim, Verdict(Word.NOT_TESTED, plan.skip))
    if isinstance(plan.claim, Proof):
        return Finding(plan.model, plan.claim, proof.verdict(plan.claim.tests, fates))
    claim, broken = plan.claim, _broken(plan, results)
    if broken is not None:
        word = Word.INCONCLUSIVE if settings.user is None else Word.NOT_TESTED
        verdict = Verdict(word, f"an experiment could not run: {broken}")
    else:
        verdict = judge(
            _observed(plan, results, True),
            _observed(plan, results, False),
            claim.bound,
            claim.control.bound,
            claim.confidence,
        )
    labels = tuple(one.label for one in _attacks(claim, settings))
    name = document.system_config(plan.model, settings.user).name
    return Finding(plan.model, claim, verdict, name, _seeds(claim, settings), labels)


def _broken(plan: _Plan, results: Mapping[Trial, Result]) -> str | None:
    return next((one for _, trial in plan.trials for one in [results[trial]] if isinstance(one, str)), None)


def _observed(plan: _Plan, results: Mapping[Trial, Result], defended: bool) -> list[Observation]:
    found: list[Observation] = []
    for on, trial in plan.trials:
        result = results[trial]
        if on == defended and not isinstance(result, str):
            found += result
    return found


def _batches(trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
    """Trials of one and the same run together, so that one worker can listen once for all of them."""
    batches: dict[object, list[Trial]] = {}
    for one in trials:
        batches.setdefault((one.config, one.overrides, one.seed), []).append(one)
    return [tuple(batch) for batch in batches.values()]


def _tried_all(batch: tuple[Trial, ...]) -> tuple[Result, ...]:
    return tuple(_tried(trial) for trial in batch)


def _tried(trial: Trial) -> Result:
    """What a worker process gives back: observations, or why there are none."""
    try:
        return play(trial)
    except (ConfigError, DataError) as error:
        return str(error)
    except SecureFLError as error:
        return f"{type(error).__name__}: {error}"
