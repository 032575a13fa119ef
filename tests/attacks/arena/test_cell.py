"""One cell: who holds what, who takes part, and that the open rounds are the real ones without the wire."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from securefl import config as configuration
from securefl.attacks.arena import Arena, Cell, cell_config, load
from securefl.attacks.arena.cell import _shares, by_class
from securefl.attacks.arena.config import Heterogeneity
from securefl.attacks.open_rounds import open_round, open_state
from securefl.building import assemble, build_learner, build_setting, load_dataset, local_update
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.data import Examples
from securefl.federation import Stopwatch
from securefl.federation.enrolment import enrol
from securefl.guarantee import settle

Write = Callable[..., Path]
Make = Callable[..., Config]


def test_open_rounds_give_the_bits_of_the_real_process(small: Make) -> None:
    config = small("privacy={unit: none}", "secure_aggregation.masking=false", "server.rounds=3")
    dataset, source = load_dataset(config), SeededRandomness(b"x")
    terms = settle(config, dataset)
    with assemble(terms, randomness=source, run="test") as process:
        real = process.initialize()
        while not process.finished(real):
            real, _ = process.next(real)
        groups = real.draw.groups
    learner, initial = build_learner(terms)
    setting = build_setting(terms, enrol(config.clients, source).roster, "test", source)
    parties = {id: local_update(terms, id, source, learner, Stopwatch()) for id in range(config.clients)}
    state = open_state(setting, initial, groups)
    for _ in range(3):
        state, done = open_round(setting, state, parties)
        assert done
    assert state.model.tobytes() == real.model.tobytes()


def cell(arena: Arena, attacked: bool, kind: str, attackers: int = 2) -> Cell:
    attack = arena.attacks[0] if attacked else None
    return Cell(arena.defences[0], attack, Heterogeneity(kind=kind), attackers, 0)  # type: ignore[arg-type]


def shares(arena: Arena, one: Cell) -> tuple[list[np.ndarray], Config, np.ndarray]:
    config = cell_config(arena, one)
    terms = settle(config, load_dataset(config))
    return list(_shares(arena, one, terms)), config, terms.dataset.train.labels


def test_one_class_gives_each_client_one_class_when_clients_match_classes() -> None:
    examples = Examples(np.zeros((40, 1)), np.arange(40) % 4)
    parts = by_class(examples, 4)
    assert [set(examples.labels[part].tolist()) for part in parts] == [{0}, {1}, {2}, {3}]
    assert sorted(np.concatenate(parts).tolist()) == list(range(40))


def test_attackers_with_a_sample_leave_all_the_data_to_honest_clients(arena_file: Write) -> None:
    arena = load(arena_file(attackers_data="sample", attackers=[2]))
    for kind in ("iid", "one_class"):
        parts, config, labels = shares(arena, cell(arena, True, kind))
        assert len(parts) == config.clients == 6
        assert sorted(np.concatenate(parts[:4]).tolist()) == list(range(len(labels)))
        assert {len(part) for part in parts[4:]} == {len(labels) // 4}
        assert len(set(labels[parts[5]].tolist())) == 10, "a sample of everything"
    parts, config, labels = shares(arena, cell(arena, False, "iid"))
    assert len(parts) == config.clients == 4, "without an attack the attackers are absent"


def test_attackers_with_their_own_share_are_honest_clients_without_the_attack(arena_file: Write) -> None:
    arena = load(arena_file())
    with_attack, config, _ = shares(arena, cell(arena, True, "iid"))
    without, _, _ = shares(arena, cell(arena, False, "iid", 0))
    assert config.clients == 6
    assert all(np.array_equal(a, b) for a, b in zip(with_attack, without, strict=True))
    assert configuration.digest(config) == configuration.digest(
        cell_config(arena, cell(arena, False, "iid", 0))
    )
