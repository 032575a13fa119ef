"""Whole runs whose clip moves: state, record, resume, worker processes, and a server that lies about it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import securefl
from securefl import run as runs
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.federation import Client, LocalUpdate, RoundRecord, State, play, server
from securefl.federation.broadcast import MODEL_DTYPE
from securefl.federation.stopwatch import Stopwatch
from securefl.guarantee import card
from securefl.process import Process
from securefl.report import read, render
from securefl.secagg import Exchange, Step, join, split, step_of, transcript
from securefl.secagg.messages import MaskRequest, from_bytes, to_bytes

Make = Callable[..., Config]
SEED = b"adaptive clip"
ADAPTIVE = "privacy.adaptive_clip={quantile: 0.5, learning_rate: 0.5, bit_share: 0.3}"


def building(config: Config, **more: object) -> Process:
    return securefl.build_federated_averaging(config, randomness=SeededRandomness(SEED), run="test", **more)


def played(process: Process) -> tuple[State, list[RoundRecord]]:
    state, records = process.initialize(), []
    while not process.finished(state):
        state, metrics = process.next(state)
        records.append(metrics.record)
    return state, records


def test_each_clip_follows_from_what_the_record_says_of_the_round_before(small_client_level: Make) -> None:
    with building(small_client_level(ADAPTIVE)) as process:
        state, records = played(process)
        rule = process.terms.encoding.adaptive
    assert records[0].clip == 0.5
    clips = [*[record.clip for record in records], state.clip]
    for record, after in zip(records, clips[1:], strict=True):
        assert after == rule.after(record.clip, record.within)
    assert len(set(clips)) == len(clips)


def test_a_clip_that_stays_is_in_no_record(small_client_level: Make) -> None:
    with building(small_client_level("server.rounds=1")) as process:
        state, records = played(process)
    assert (state.clip, records[0].clip, records[0].within) == (None, None, None)


@dataclass(frozen=True)
class Watched:
    """The honest contribution, which hands over what it rounded in the round's own encoding."""

    honest: LocalUpdate
    seen: dict[tuple[int, int], tuple[float, bool]]

    def __call__(self, model: bytes, round: int) -> np.ndarray:
        clip = float(np.frombuffer(model[-8:], "<f8")[0])
        update = self.honest.update(np.frombuffer(model[:-8], MODEL_DTYPE), round)
        self.seen[self.honest.client, round] = (clip, bool(np.linalg.norm(update) <= clip))
        return self.honest(model, round)


@pytest.mark.parametrize("rotation", [None, bytes(32)])
@pytest.mark.parametrize("noise", ["distributed", "central, trusted_server: true"])
def test_bits_of_the_run_come_through_the_masked_sum(
    small_client_level: Make, noise: str, rotation: bytes | None
) -> None:
    """The median of three groups is off by less than six deviations of the noise on one.

    The source is seeded, so the outcome is always the same.
    """
    seen: dict[tuple[int, int], tuple[float, bool]] = {}

    def watch(honest: Mapping[int, Client]) -> dict[int, Client]:
        return {
            client: replace(one, contribution=Watched(one.contribution, seen))
            for client, one in honest.items()
        }

    config = small_client_level(
        f"privacy={{unit: client, noise: {noise}, epsilon: 100.0, delta: 1e-3, spare_releases: 1}}",
        "secure_aggregation.clip_norm=0.6",
        "privacy.adaptive_clip={bit_share: 0.9}",
    )
    with building(config) as process:
        terms = process.terms
    encoding = replace(terms.encoding, rotation=rotation)
    with securefl.building.assemble(
        replace(terms, encoding=encoding), watch, randomness=SeededRandomness(SEED), run="test"
    ) as process:
        _, records = played(process)
    samples = 4 if encoding.shared else 1
    noise_told = encoding.noise.sigma * math.sqrt(samples) / 4 / (2 * 0.9 * (2**15 - 1))
    for record in records:
        bits = [seen[client, record.round][1] for client in range(12)]
        groups = [np.mean([bits[client] for client in group.survivors]) for group in record.groups]
        assert {seen[client, record.round][0] for client in range(12)} == {record.clip}
        assert abs(record.within - np.median(groups)) < 6 * noise_told
    assert noise_told < 0.06, "small enough to tell bits apart"
    assert len({bits for _, bits in seen.values()}) == 2, "some updates were within and some were not"


def test_an_abandoned_round_leaves_the_clip(small_client_level: Make) -> None:
    with building(small_client_level(ADAPTIVE)) as process:
        state = replace(process.initialize(), clip=0.7)
        after, record = play(process.setting, state, lambda requests: {}, Stopwatch())
    assert (record.status, record.clip, record.within, after.clip) == ("abandoned", 0.7, None, 0.7)


def test_a_run_that_was_stopped_in_flight_goes_on_to_the_same_model_and_clips(
    small_client_level: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_client_level(ADAPTIVE, "simulation.dropout=0.02")
    runs.run(config, tmp_path / "whole", randomness=SeededRandomness(SEED))
    real, calls = server.combine, []

    def stopping(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == 2:  # the sums of the second round are open, and nothing of it is recorded yet
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(server, "combine", stopping)
        with pytest.raises(KeyboardInterrupt):
            runs.run(config, tmp_path / "stopped", randomness=SeededRandomness(SEED))
    runs.resume(tmp_path / "stopped", randomness=SeededRandomness(SEED))
    whole, stopped = (tmp_path / name / "model.safetensors" for name in ("whole", "stopped"))
    assert whole.read_bytes() == stopped.read_bytes()
    clips = [[line.clip for line in read(tmp_path / name).rounds] for name in ("whole", "stopped")]
    assert clips[0] == clips[1] and len(set(clips[0])) == 3
    lines = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["clip"] for line in lines] == clips[0]
    assert "The clip of each round" in render(read(tmp_path / "whole"))


@pytest.mark.slow
def test_worker_processes_give_the_same_model_and_clip_as_one_process(small_client_level: Make) -> None:
    def end(*overrides: str) -> tuple[bytes, float | None]:
        with building(small_client_level("server.rounds=2", ADAPTIVE, *overrides)) as process:
            state, _ = played(process)
            return state.model.tobytes(), state.clip

    assert end() == end("engine={kind: processes, workers: 2}")


# --- a server that lies about the clip ----------------------------------------------------------------


def telling(exchange: Exchange, clips: Mapping[int, float]) -> Exchange:
    """An exchange in which these clients are told other clips than the server's."""

    def altered(client: int, request: bytes) -> bytes:
        if client not in clips or step_of(request).step is not Step.MASK:
            return request
        message = from_bytes(request)
        assert isinstance(message, MaskRequest)
        told = np.array([clips[client]], "<f8").tobytes()
        return to_bytes(replace(message, model=bytes(message.model)[:-8] + told))

    def carry(requests: dict[int, bytes]) -> dict[int, bytes]:
        changed = {}
        for client, request in requests.items():
            parts = [altered(client, part) for part in split(request)]
            changed[client] = parts[0] if len(parts) == 1 else join(parts)
        return exchange(changed)

    return carry


def survivors_told(process: Process, clips: Mapping[int, float]) -> tuple[RoundRecord, list[set[float]]]:
    """One round; and of every sum that was opened, the clips that its members had been told."""
    state = process.initialize()
    _, record = play(process.setting, state, telling(process.engine, clips), Stopwatch())
    sums = [group.survivors for group in record.groups if group.survivors]
    return record, [{clips.get(client, state.clip) for client in sum_} for sum_ in sums]


def members_told_different_clips_are_never_in_one_sum(config: Config, victims: int) -> None:
    with building(config) as process:
        drawn = play(process.setting, process.initialize(), process.engine, Stopwatch())[1]
    lies = {client: 2.0 for group in drawn.groups for client in group.members[:victims]}
    with building(config) as process:
        record, told = survivors_told(process, lies)
    assert all(len(clips) == 1 for clips in told)
    # Three of four are enough for a sum; a group that is split two and two has none.
    assert len(told) == (3 if victims == 1 else 0)
    assert record.status == ("done" if victims == 1 else "abandoned")


@pytest.mark.parametrize("victims", [1, 2])
def test_members_told_different_clips_are_never_in_one_sum(small_client_level: Make, victims: int) -> None:
    members_told_different_clips_are_never_in_one_sum(small_client_level(ADAPTIVE), victims)


@pytest.mark.parametrize("victims", [1, 2])
def test_a_clip_outside_of_what_the_session_binds_is_caught(
    small_client_level: Make, victims: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: the session's digest holds the hash of the model without the clip."""
    honest = transcript.session
    monkeypatch.setattr(transcript, "session", lambda keys, root, model: honest(keys, root, model[:-8]))
    with pytest.raises(AssertionError):
        members_told_different_clips_are_never_in_one_sum(small_client_level(ADAPTIVE), victims)


@pytest.mark.parametrize("clip", [math.nan, math.inf, -math.inf, 0.0, -0.5, 5e-324, 1e-300, 1e300, 600.0])
def test_a_clip_that_no_round_can_have_silences_its_client_and_costs_nothing(
    small_client_level: Make, clip: float
) -> None:
    with building(small_client_level(ADAPTIVE)) as process:
        state = process.initialize()
        lies = dict.fromkeys(range(12), clip)
        play(process.setting, state, telling(process.engine, lies), Stopwatch())
        assert process.ledger.spent(process.terms.dataset.source_hash) == ()
        assert all("PolicyError: expected a clip from" in why for why in process.engine.refusals.values())
        assert len(process.engine.refusals) == 12


# --- malicious clients --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Liar:
    """A client that says with all the ring's room that its update was within the clip, or that it was not."""

    honest: LocalUpdate
    sign: int

    def __call__(self, model: bytes, round: int) -> np.ndarray:
        encoding = self.honest.encoding
        words = np.zeros(encoding.length, dtype=np.int64)
        words[encoding.dim] = self.sign * ((1 << (encoding.ring_bits - 1)) - 1 - encoding.reach) // 2
        return (words & ((1 << encoding.ring_bits) - 1)).astype(encoding.dtype)


@pytest.mark.parametrize("sign", [-1, 1])
def test_one_malicious_group_moves_the_clip_no_further_than_honest_groups_say(
    small_client_level: Make, sign: int
) -> None:
    told: list[float] = []
    real = server.np.median

    def lie(honest: Mapping[int, Client]) -> dict[int, Client]:
        return {
            client: replace(one, contribution=Liar(one.contribution, sign)) if client == 5 else one
            for client, one in honest.items()
        }

    def listening(values: list[float]) -> float:
        told.extend(values)
        return float(real(values))

    with (
        pytest.MonkeyPatch.context() as patch,
        building(small_client_level(ADAPTIVE), clients=lie) as process,
    ):
        patch.setattr(server.np, "median", listening)
        after, record = play(process.setting, process.initialize(), process.engine, Stopwatch())
        rule = process.terms.encoding.adaptive
    liars = next(at for at, group in enumerate(record.groups) if 5 in group.members)
    honest = [part for at, part in enumerate(told[:3]) if at != liars]
    assert told[liars] * sign > 3, "the lie is in the sum"
    assert min(honest) <= record.within <= max(honest)
    assert abs(math.log(after.clip / record.clip)) <= rule.learning_rate / 2 + 1e-9


def test_the_card_says_what_the_clip_costs_and_what_it_does_not_promise(small_client_level: Make) -> None:
    with building(small_client_level(ADAPTIVE)) as process:
        text = card(process.terms).markdown()
    assert "clipped to the clip of the round (0.5 in the first)" in text
    assert "noise on updates is 4.8 % larger" in text  # 1 / sqrt(1 - 0.3^2)
    assert "by a factor of at most 1.28 per round, and stays from 0.000488 to 512" in text
    assert "of 3 groups the median counts" in text
    assert "The adaptive clip is a norm, no promise of accuracy" in text
    with building(small_client_level()) as process:
        assert "adaptive" not in card(process.terms).markdown().lower()
