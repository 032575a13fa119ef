"""One cell: one run under one attack, played to its end and scored.

Rules kept here:
- With masking on the cell is the real process: messages, masks, ledger. With masking off it is
  `open_rounds`, the same contributions and the same server step without the wire.
- A cell's randomness is replayable and drawn from its seed, so a cell that is played again gives the same
  numbers. It marks the run NOT PRIVATE; a config that names a shared ledger is refused.
- No attack means no attackers: with `attackers_data: own` all clients are honest, with `sample` the
  attackers are absent.

What this file does NOT do: decide which cells there are (`contest`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from securefl.attacks.arena.config import Arena, Attacked, Defence, Heterogeneity, run_config
from securefl.attacks.attack import Attack
from securefl.attacks.coalition import Coalition, judge_of, poisoned
from securefl.attacks.open_rounds import dealt, open_round, open_state
from securefl.attacks.placement import Placement
from securefl.building import assemble, build_learner, build_setting, local_update
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.data import Dataset, Examples
from securefl.errors import ConfigError
from securefl.federation import Client, Contribution, LocalUpdate, Party, State, Stopwatch
from securefl.federation.enrolment import enrol
from securefl.federation.worker_momentum import WorkerMomentum
from securefl.guarantee import Terms, settle

HONEST = Attack("none", frozenset(), "")
Evaluate = Callable[[State], None]


@dataclass(frozen=True)
class Cell:
    """Where a run stands on the axes. `attack` None is the run without attackers."""

    defence: Defence
    attack: Attacked | None
    partition: Heterogeneity
    attackers: int
    seed: int

    @property
    def key(self) -> dict[str, object]:
        """The cell as plain values, for files."""
        return {
            "defence": self.defence.name,
            "attack": "none" if self.attack is None else self.attack.label,
            "heterogeneity": self.partition.label,
            "attackers": self.attackers,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Outcome:
    """What a cell gave.

    Attributes:
        accuracy: of the final model on the test set, in [0, 1].
        loss: mean cross-entropy there, in nats.
        aim: part of the attacker's wishes that the final model fulfils; None where the attack has none.
        abandoned: rounds that the server abandoned.
        path: (round, accuracy) on the way.
        cpu_seconds: of this process, training and scoring included.
    """

    accuracy: float
    loss: float
    aim: float | None
    abandoned: int
    path: tuple[tuple[int, float], ...]
    cpu_seconds: float

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self) | {"path": [list(one) for one in self.path]}


def cell_config(arena: Arena, cell: Cell) -> Config:
    """The run config of a cell.

    Raises:
        ConfigError: the combination cannot run.
    """
    config = run_config(arena, cell.defence, cell.partition, cell.seed, _clients(arena, cell))
    if config.privacy.ledger is not None:
        raise ConfigError(
            "expected no shared ledger under attack, got one: an arena's randomness is replayable; leave it "
            "out with `privacy.ledger=null` among the overrides",
            "privacy.ledger",
        )
    if config.engine.kind != "in_process":
        raise ConfigError(
            f"expected engine in_process under attack, got {config.engine.kind!r}; set it", "engine.kind"
        )
    if config.participation.kind != "all" or (config.simulation.dropout and not _masked(config)):
        raise ConfigError(
            "expected all clients in every round (and without masking no simulated dropout), got others; set "
            "participation and simulation.dropout among the overrides",
            "participation" if config.participation.kind != "all" else "simulation.dropout",
        )
    _check_room(cell, config)
    return config


def play(arena: Arena, cell: Cell, dataset: Dataset) -> Outcome:
    """The cell's run from its first round to its last."""
    start = time.process_time()
    config = cell_config(arena, cell)
    terms = settle(config, dataset)
    terms = replace(terms, shares=_shares(arena, cell, terms))
    attack = HONEST if cell.attack is None else cell.attack.attack()
    playing = _Play(arena, cell, terms, attack)
    final, abandoned = _masked_run(playing) if _masked(config) else _open_run(playing)
    learner, _ = build_learner(terms)
    scores = learner.evaluate(final.model, dataset.test)
    aim = None
    if attack.aim is not None:
        wishes = attack.aim(dataset.test, dataset.classes)
        aim = learner.evaluate(final.model, wishes).accuracy if len(wishes) else None
    seconds = time.process_time() - start
    return Outcome(scores.accuracy, scores.loss, aim, abandoned, tuple(playing.path), seconds)


class _Play:
    """A cell being played, with what it has seen on the way."""

    def __init__(self, arena: Arena, cell: Cell, terms: Terms, attack: Attack) -> None:
        self.arena, self.cell, self.terms, self.attack = arena, cell, terms, attack
        self.attackers = 0 if cell.attack is None else cell.attackers
        self.source = SeededRandomness(f"securefl arena {cell.seed}".encode())
        self.path: list[tuple[int, float]] = []
        rounds = terms.config.server.rounds
        self._stops = {rounds * one // (arena.evaluations + 1) for one in range(1, arena.evaluations + 1)}

    @property
    def placement(self) -> Placement:
        """The worst one; fixed ids where attackers hold other data than honest clients."""
        clients = self.terms.config.clients
        if self.arena.attackers_data == "sample":
            return tuple(range(clients - self.attackers, clients))
        return "spread"

    def remember(self, contribution: Contribution) -> Contribution:
        """The contribution with worker momentum, if the arena asks for it."""
        beta = self.arena.worker_momentum
        if beta == 0.0 or not isinstance(contribution, LocalUpdate):
            return contribution
        return replace(contribution, trainer=WorkerMomentum(contribution.trainer, beta))

    def passed(self, state: State, evaluate: Callable[[State], float]) -> None:
        """Scores the model where the arena wants it scored."""
        if state.round in self._stops:
            self.path.append((state.round, evaluate(state)))


def _open_run(playing: _Play) -> tuple[State, int]:
    terms, config, cell = playing.terms, playing.terms.config, playing.cell
    learner, initial = build_learner(terms)
    setting = build_setting(terms, enrol(config.clients, playing.source).roster, "arena", playing.source)
    stopwatch = Stopwatch()
    honest = {
        client: playing.remember(local_update(terms, client, playing.source, learner, stopwatch))
        for client in range(config.clients)
    }
    judge = judge_of(config, terms.encoding)
    coalition = Coalition(playing.attack, playing.attackers, playing.placement, judge, cell.seed)
    seats, groups = coalition.join(honest), dealt(config.clients, config.groups)
    state, abandoned = open_state(setting, initial, groups), 0
    while state.round < config.server.rounds:
        coalition.meet((state.round + 1, 0), groups)
        state, done = open_round(setting, state, seats)
        abandoned += not done
        playing.passed(state, lambda after: learner.evaluate(after.model, terms.dataset.test).accuracy)
    return state, abandoned


def _masked_run(playing: _Play) -> tuple[State, int]:
    terms, config = playing.terms, playing.terms.config
    put_in = poisoned(
        config, playing.attack, playing.attackers, placement=playing.placement, seed=playing.cell.seed
    )

    def clients(honest: Mapping[int, Client]) -> Mapping[int, Party]:
        return put_in(
            {
                client: replace(one, contribution=playing.remember(one.contribution))
                for client, one in honest.items()
            }
        )

    with assemble(terms, clients, randomness=playing.source, run="arena") as process:
        state, abandoned = process.initialize(), 0
        while not process.finished(state):
            state, metrics = process.next(state)
            abandoned += metrics.record.status != "done"
            playing.passed(state, lambda after: process.evaluate(after).accuracy)
        return state, abandoned


def _shares(arena: Arena, cell: Cell, terms: Terms) -> tuple[NDArray[np.int64], ...]:
    """Who holds what: the config's partition or one class each, and a sample of it all for attackers."""
    attackers = cell.attackers if cell.attack is not None and arena.attackers_data == "sample" else 0
    honest = terms.config.clients - attackers
    shares = terms.shares
    if cell.partition.kind == "one_class":
        shares = by_class(terms.dataset.train, honest)
    elif attackers:
        fewer = run_config(arena, cell.defence, cell.partition, cell.seed, honest)
        shares = settle(fewer, terms.dataset).shares
    examples = len(terms.dataset.train)
    random = np.random.default_rng([cell.seed, 1])
    samples = [np.sort(random.choice(examples, examples // honest, replace=False)) for _ in range(attackers)]
    return (*shares[:honest], *samples)


def by_class(examples: Examples, clients: int) -> tuple[NDArray[np.int64], ...]:
    """The examples sorted by class and cut into equal pieces: one class each if clients match classes.

    Example:
        >>> labels = np.array([1, 0, 1, 0])
        >>> [part.tolist() for part in by_class(Examples(np.zeros((4, 1)), labels), 2)]
        [[1, 3], [0, 2]]
    """
    order = np.argsort(examples.labels, kind="stable")
    return tuple(np.sort(part) for part in np.array_split(order, clients))


def _clients(arena: Arena, cell: Cell) -> int | None:
    if cell.attack is not None or arena.attackers_data == "own":
        return None
    whole = run_config(arena, cell.defence, cell.partition, cell.seed, None).clients
    return max(1, whole - cell.attackers)


def _masked(config: Config) -> bool:
    return config.secure_aggregation.masking


def _check_room(cell: Cell, config: Config) -> None:
    if cell.attack is None:
        return
    attack = cell.attack.attack()
    if cell.attackers >= config.clients:
        raise ConfigError(
            f"expected fewer attackers than the {config.clients} clients, got {cell.attackers}", "attackers"
        )
    if attack.steers_group and cell.attackers >= config.groups:
        raise ConfigError(
            f"expected fewer attackers than the {config.groups} groups for {attack.name!r}, which looks at "
            f"groups without one, got {cell.attackers}; lower it or drop the attack",
            "attackers",
        )
    if attack.inflates and config.server.weights.kind != "examples":
        raise ConfigError(
            f"expected server.weights.kind 'examples' for {attack.name!r}, got "
            f"{config.server.weights.kind!r}, where nobody claims a count; "
            "set it among the overrides or drop the attack",
            "attacks",
        )
