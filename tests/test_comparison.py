"""Personal models: they help where clients differ, never reach the wire, and survive being killed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from securefl import config as configuration
from securefl import run as runs
from securefl.building import build_federated_averaging
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.errors import DataError, RunDirectoryError
from securefl.federation.personal import PersonalModel, write
from securefl.guarantee import card, settle
from securefl.secagg import Exchange
from tests.test_run import SEED, play

Make = Callable[..., Config]
SKEWED = "data.partition={kind: dirichlet, alpha: 0.1}"
FINE = "personalisation={kind: fine_tune, local_steps: 20, learning_rate: 0.2, held_out: 0.3}"
DITTO = "personalisation={kind: ditto, local_steps: 10, learning_rate: 0.2, pull: 0.1, held_out: 0.3}"


@pytest.mark.parametrize("kind", [FINE, DITTO])
def test_clients_with_few_classes_do_better_with_a_model_of_their_own(
    small: Make, tmp_path: Path, kind: str
) -> None:
    # 14 runs of fresh noise each: the difference is .62 and .64, standard deviation .024 and .040. The bound
    # is eight of them away.
    summary = runs.run(small(SKEWED, kind), tmp_path / "run")
    found = summary["personalisation"]
    assert isinstance(found, dict)
    assert found["personal"]["mean"] > found["shared"]["mean"] + 0.3
    assert found["personal"]["worst_tenth"] == min(found["personal"]["clients"])
    assert found["loses"] < 0.5
    assert len(found["personal"]["clients"]) == 9


def test_what_is_held_out_trains_neither_model(small: Make) -> None:
    terms = settle(small(SKEWED, DITTO), runs.load_dataset(small(SKEWED)))
    plain = settle(small(SKEWED), terms.dataset)
    for trained, kept, given in zip(terms.shares, terms.held_out, plain.shares, strict=True):
        assert not set(trained) & set(kept)
        assert sorted([*trained, *kept]) == sorted(given)
        assert len(kept) > 0
    assert all(len(kept) == 0 for kept in plain.held_out)


def test_personal_state_never_enters_a_message(small: Make) -> None:
    """Worlds that differ in every client's personal model alone: every byte that is sent is the same."""
    config, sent, kept = small(SKEWED, DITTO, "server.rounds=2"), [], []
    for begun in (0.0, 3.0):
        with build_federated_averaging(config, randomness=SeededRandomness(b"wire"), run="one") as process:
            said: list[bytes] = []
            process._exchange = tapped(process.engine, said)
            state = process.initialize()
            for model in process.personal.values():
                assert isinstance(model, PersonalModel)
                write(model.path, model.run, -1, state.model, state.model + np.float32(begun))
            while not process.finished(state):
                state, _ = process.next(state)
            sent.append(said)
            kept.append([one.beside(state.model) for one in process.personal.values()])
    assert len(sent[0]) > 9 * 2 * 3
    assert sent[0] == sent[1]
    assert not any(np.array_equal(one, other) for one, other in zip(*kept, strict=True))


def tapped(engine: Exchange, said: list[bytes]) -> Exchange:
    """The exchange, whose replies are written down."""

    def exchange(requests: Mapping[int, bytes]) -> Mapping[int, bytes]:
        replies = engine(requests)
        said.extend(replies[client] for client in sorted(replies))
        return replies

    return exchange


def test_a_killed_run_ends_with_the_same_personal_models(small: Make, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(configuration.dump(small(SKEWED, DITTO)))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    runs.run(configuration.load(file), whole, randomness=SeededRandomness(SEED))
    assert play(broken, 12, file) == -9
    runs.resume(broken, randomness=SeededRandomness(SEED))
    for client in range(9):
        one = (whole / "personal" / f"{client}.safetensors").read_bytes()
        assert (broken / "personal" / f"{client}.safetensors").read_bytes() == one
    first, second = (json.loads((out / "summary.json").read_text()) for out in (whole, broken))
    assert first["personalisation"] == second["personalisation"]


def test_a_run_does_not_go_on_where_a_personal_model_is_gone_or_older(small: Make, tmp_path: Path) -> None:
    out, source = tmp_path / "run", SeededRandomness(SEED)

    def stop(event: Mapping[str, object]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.run(small(SKEWED, DITTO), out, randomness=source, progress=stop)
    kept = out / "personal"
    copies = {path: path.read_bytes() for path in kept.iterdir()}
    shutil.rmtree(kept)
    with pytest.raises(RunDirectoryError, match=r"after round 1, got none; .*restore it from a copy"):
        runs.resume(out, randomness=source)
    kept.mkdir()
    for path, content in copies.items():
        path.write_bytes(content)
    run_id = json.loads((out / "manifest.json").read_text())["run_id"]
    model = load_file(kept / "4.safetensors")["after"]
    write(kept / "4.safetensors", run_id, 0, model, model)
    with pytest.raises(RunDirectoryError, match="of client 4 after round 1, got one of round 0"):
        runs.resume(out, randomness=source)
    (kept / "4.safetensors").write_bytes(copies[kept / "4.safetensors"])
    assert runs.resume(out, randomness=source)["status"] == "finished"


@pytest.mark.slow
def test_worker_processes_keep_the_same_personal_models(small: Make, tmp_path: Path) -> None:
    for name, engine in (("one", "in_process"), ("two", "processes")):
        workers = ", workers: 2" if engine == "processes" else ""
        config = small(SKEWED, DITTO, "server.rounds=2", f"engine={{kind: {engine}{workers}}}")
        runs.run(config, tmp_path / name, randomness=SeededRandomness(b"engines"))
    for client in range(9):
        one, two = (
            load_file(tmp_path / name / "personal" / f"{client}.safetensors") for name in ("one", "two")
        )
        assert np.array_equal(one["after"], two["after"])


def test_a_client_with_nothing_to_hold_out_is_refused_before_anything_is_written(
    small: Make, tmp_path: Path
) -> None:
    config = small("personalisation={kind: fine_tune, local_steps: 1, learning_rate: 0.1, held_out: 0.001}")
    # Rounded up, one example of every client is held out however small the part.
    settle(config, runs.load_dataset(config))
    many = small("clients=450", "privacy={unit: none}", FINE)
    with pytest.raises(DataError, match=r"personalisation\.held_out: expected an example of every client"):
        runs.run(many, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_card_says_what_personal_models_reveal(small: Make) -> None:
    config = small(SKEWED, FINE)
    text = card(settle(config, runs.load_dataset(config))).markdown()
    assert "Personal models are trained without noise and stay at their clients" in text
    assert "Personal models" not in card(settle(small(), runs.load_dataset(config))).markdown()
