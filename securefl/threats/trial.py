"""One experiment: a run config, some attacks, one seed; out comes the harm that each attack did.

Rules kept here:
- The run is built by `securefl.building` from the config alone. Attackers come in through `clients=`.
- Its randomness is replayable and drawn from the seed, so a witness can be played again; no attack knows it.
- Attacks that only listen share one run. Attacks that lose accuracy are compared with the run of the same
  seed without an attacker.
- Whoever reads the finished model plays for records of which a coin put half into the data. The coins come
  from a generator of their own, so they are the same with the defence on and off.
- Whoever takes known noise off a sum is audited: what is left has the epsilon that is charged, or more.
- The truth (what clients really have and sent) is kept beside the tape and never handed to a spy.

What this file does NOT do: judge (`verdict`), or choose configs (`document`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from securefl import config as configuration
from securefl.attacks import attack_label, named_attack, poisoned
from securefl.attacks.inference.own_noise import left_over
from securefl.attacks.inference.wagers import guessed, wager
from securefl.attacks.silence import silenced
from securefl.attacks.spying import SPIES, Answers, Spy, Tape, loot_of, named_spy, tapped
from securefl.audit import audit
from securefl.building import Parties, assemble, load_dataset
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.errors import ConfigError
from securefl.federation import Client, Contributed, Contribution, Party
from securefl.guarantee import Terms, settle
from securefl.secagg import Roster
from securefl.secagg.messages import Terms as GroupTerms
from securefl.threats.observation import Observation
from securefl.threats.tables import OWN_NOISE, READER, SILENT

Words = NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class Trial:
    """What one process is asked to play.

    Attributes:
        config: path of the run config.
        overrides: applied to it.
        attacks: (name, strength) each.
        count: clients that the adversary runs: a number, `declared`, `threshold` or `all_but_one`.
        seed: of the run.
    """

    config: str
    overrides: tuple[str, ...]
    attacks: tuple[tuple[str, float | None], ...]
    count: int | str
    seed: int


def play(trial: Trial) -> tuple[Observation, ...]:
    """The harm of each attack, in the trial's order.

    Raises:
        ConfigError: the config cannot run, or an attack has no room in it.
    """
    if all(name in SPIES for name, _ in trial.attacks):
        return tuple(_spied(trial, named_spy(name)) for name, _ in trial.attacks)
    if all(name == READER for name, _ in trial.attacks):
        return (_read(trial),)
    if all(name == OWN_NOISE for name, _ in trial.attacks):
        return (_taken_off(trial),)
    terms = _settled(_text(trial))
    unharmed = _accuracy(terms, trial, None)
    return tuple(
        Observation(
            attack_label(name, strength),
            trial.seed,
            unharmed - _accuracy(terms, trial, _attackers(terms, trial, name, strength)),
        )
        for name, strength in trial.attacks
    )


def _text(trial: Trial) -> str:
    """The trial's config as text: the same for trials of the same run, another once a file has changed."""
    return configuration.dump(configuration.load(trial.config, (*trial.overrides, f"seed={trial.seed}")))


@lru_cache(maxsize=2)
def _settled(text: str) -> Terms:
    config = configuration.parse(text)
    return settle(config, load_dataset(config))


# Spies ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Heard:
    """One round on tape, and what the clients really contributed to it."""

    terms: Terms
    roster: Roster
    tape: Tape
    truth: dict[int, Words]


@lru_cache(maxsize=2)
def _heard(text: str, seed: int, liar: str | None) -> _Heard:
    """Plays one round; `liar` names the spy that changes requests in it, if one does."""
    terms, tape, truth = _settled(text), Tape(), dict[int, Words]()
    alter = None if liar is None else named_spy(liar).alter

    def clients(honest: Mapping[int, Client]) -> dict[int, Party]:
        watched = {
            client: replace(one, contribution=_watched(one.contribution, client, truth))
            for client, one in honest.items()
        }
        return tapped(watched, tape, alter, terms.dim)

    with assemble(terms, clients, randomness=_source(seed), run="verify") as process:
        process.next(process.initialize())
        return _Heard(terms, process.setting.roster, tape, truth)


def _watched(contribution: Contribution, client: int, truth: dict[int, Words]) -> Contribution:
    def contribute(model: bytes, round: int) -> Words | Contributed:
        made = contribution(model, round)
        truth[client] = (made.words if isinstance(made, Contributed) else made).copy()
        return made

    return contribute


def _spied(trial: Trial, spy: Spy) -> Observation:
    if spy.seeks == "label" and _settled(_text(trial)).subsample is not None:
        raise ConfigError(
            f"expected whole updates for {spy.name!r}, which looks for the output biases at their end, got a "
            "part: a wrong guess would say nothing about labels; leave the key out",
            "secure_aggregation.subsample",
        )
    liar = None if spy.alter is None else spy.name
    heard = _heard(_text(trial), trial.seed, liar)
    terms, collude = heard.terms, partial(_colluders, heard.terms.config, trial)
    loot = loot_of(heard.tape, heard.roster, terms.encoding, terms.dataset.classes, collude)
    members = {client for group in heard.tape.groups for client in group.terms.members}
    victims = members - loot.colluders
    if not victims:
        raise ConfigError("expected honest clients to spy on, got none; use fewer colluders")
    answers = spy.spy(loot)
    right = _right_label(terms) if spy.seeks == "label" else _right_words(terms, heard.truth)
    hits = sum(1 for client in victims if client in answers and right(client, answers))
    return Observation(spy.name, trial.seed, hits / len(victims), hits, len(victims))


def _right_label(terms: Terms) -> Callable[[int, Answers], bool]:
    def right(client: int, answers: Answers) -> bool:
        counts = np.bincount(
            terms.dataset.train.labels[terms.shares[client]], minlength=terms.dataset.classes
        )
        return bool(counts[answers[client]] == counts.max())

    return right


def _right_words(terms: Terms, truth: Mapping[int, Words]) -> Callable[[int, Answers], bool]:
    mask = terms.encoding.dtype((1 << terms.encoding.ring_bits) - 1)

    def right(client: int, answers: Answers) -> bool:
        return client in truth and np.array_equal(answers[client], truth[client] & mask)

    return right


def _colluders(config: Config, trial: Trial, group: GroupTerms) -> tuple[int, ...]:
    """Who colludes in a group; drawn from the seed, for no member is special."""
    counts = {
        "declared": config.secure_aggregation.max_colluding,
        "threshold": group.threshold,
        "all_but_one": len(group.members) - 1,
    }
    wanted = counts[trial.count] if isinstance(trial.count, str) else trial.count
    order = np.random.default_rng([trial.seed, group.group]).permutation(group.members)
    return tuple(int(one) for one in order[: min(wanted, len(group.members))])


# Audits -----------------------------------------------------------------------------------------------

DRAWS = 600
"""Per world; at epsilon 8 nearly always enough to see noise that has two thirds of its deviation."""
AUDIT_CONFIDENCE = 0.99


def _taken_off(trial: Trial) -> Observation:
    """One audit of a sum without its colluders' own words; harm if epsilon is more than what is charged."""
    terms = _settled(_text(trial))
    fewest = terms.config.fewest_survivors
    counts = {
        "declared": terms.config.secure_aggregation.max_colluding,
        "threshold": fewest,
        "all_but_one": fewest - 1,
    }
    colluders = counts[trial.count] if isinstance(trial.count, str) else trial.count
    found = audit(left_over(terms, _source(trial.seed), colluders), DRAWS, AUDIT_CONFIDENCE)
    return Observation(OWN_NOISE, trial.seed, float(found.refuted), int(found.refuted), 1)


# Readers ----------------------------------------------------------------------------------------------

RECORDS = 100
"""To bet on in one run."""


def _read(trial: Trial) -> Observation:
    """One whole run on data with half of the records in it, and the guesses of whoever reads its model."""
    config = configuration.parse(_text(trial))
    wagers = wager(load_dataset(config), RECORDS, np.random.default_rng([trial.seed, RECORDS]))
    with assemble(settle(config, wagers.dataset), randomness=_source(trial.seed), run="verify") as process:
        state = process.initialize()
        while not process.finished(state):
            state, _ = process.next(state)
        guesses = guessed(process.learner.logits(state.model, wagers.records), wagers.records)
    hits = int((guesses == wagers.inside).sum())
    return Observation(READER, trial.seed, hits / RECORDS, hits, RECORDS)


# Accuracy ---------------------------------------------------------------------------------------------


def _accuracy(terms: Terms, trial: Trial, clients: Parties | None) -> float:
    """Of the final model on the server's test set."""
    with assemble(terms, clients, randomness=_source(trial.seed), run="verify") as process:
        state = process.initialize()
        while not process.finished(state):
            state, metrics = process.next(state)
        return metrics.test_accuracy


def _attackers(terms: Terms, trial: Trial, name: str, strength: float | None) -> Parties:
    count = terms.config.robust.max_malicious if trial.count == "declared" else trial.count
    if not isinstance(count, int):
        raise ConfigError(f"expected a number of malicious clients, got {count!r}; say declared", "count")
    if name == SILENT:
        return lambda honest: silenced(honest, count)
    return poisoned(terms.config, named_attack(name, strength), count, seed=trial.seed)


def _source(seed: int) -> SeededRandomness:
    return SeededRandomness(f"securefl verify {seed}".encode())
