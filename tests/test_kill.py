"""Killed with SIGKILL at arbitrary moments and at every point that matters, a run loses and repeats nothing.

Two kinds of run. Under the replayable source a killed run must end as an undisturbed one, bit for bit.
Under the operating system's entropy, where a second masking or training gives other bytes, a log of what left
the clients is held against the ledger: all of it is charged, and no step was answered by two replies.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from securefl import config as configuration
from securefl import run as runs
from securefl import run_directory as folder
from securefl.config import Config
from securefl.crypto import SeededRandomness
from securefl.privacy.accountant import epsilon
from securefl.privacy.events import releases
from securefl.privacy.ledger import Ledger
from securefl.secagg import Step

Make = Callable[..., Config]
SEED = b"killed"

PLAY = """
import sys
from pathlib import Path
from securefl import config as configuration, run as runs, run_directory as folder
from securefl.crypto import SeededRandomness
import torch, opacus

out, source = Path(sys.argv[1]), SeededRandomness(b"killed")
print("ready", flush=True)
sys.stdin.readline()
if (out / folder.CONFIG).exists():
    runs.resume(out, randomness=source)
else:
    runs.run(configuration.load(sys.argv[2]), out, randomness=source)
"""


def play(out: Path, config: Path, seconds: float) -> bool:
    """Plays on and kills after `seconds`, start-up not counted; whether the run ended before that."""
    command = [sys.executable, "-c", PLAY, str(out), str(config)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == "ready\n"
    child.stdin.write("go\n")
    child.stdin.flush()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
    _, said = child.communicate(timeout=60)
    assert child.returncode in (0, -9), said
    return child.returncode == 0


def timeless(out: Path, name: str) -> list[dict[str, object]]:
    lines = folder.read_lines(out / name)
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def charges(out: Path) -> list[tuple[str, int, int, int]]:
    run_id = json.loads((out / folder.MANIFEST).read_text())["run_id"]
    with Ledger.open(out / folder.LEDGER, private=False, run=run_id, create=False) as ledger:
        ledger.verify()
        return [(one.kind, one.client, one.round, one.attempt) for one in ledger.records()]


def require_nothing_lost(out: Path) -> None:
    """What the records say was released is charged, once; no round stands twice."""
    if not (out / folder.MANIFEST).exists() or not (out / folder.LEDGER).exists():
        return
    recorded = folder.read_lines(out / folder.ROUNDS)
    slots = [(line["round"], line["attempt"]) for line in recorded]
    assert len(slots) == len(set(slots))
    if not recorded:
        return
    intents = [charge[1:] for charge in charges(out) if charge[0] == "intent"]
    assert len(intents) == len(set(intents))
    assert set(slots) <= {(round, attempt) for _, round, attempt in intents}


def require_that_kills_change_nothing(make: Make, tmp_path: Path, rounds: int, moments: list[float]) -> None:
    """Plays a run whole, and again killed at the given seconds after its start-up, as often as it lasts.

    Where a machine is so fast that the first moment comes too late, another run is killed at half of it.
    """
    config = make(f"server.rounds={rounds}", "simulation.dropout=0.05")
    (tmp_path / "config.yaml").write_text(configuration.dump(config))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    runs.run(config, whole, randomness=SeededRandomness(SEED))
    first, *others = moments
    while play(killed, tmp_path / "config.yaml", first):
        shutil.rmtree(killed)
        first /= 2
    require_nothing_lost(killed)
    for seconds in others:
        if play(killed, tmp_path / "config.yaml", seconds):
            break
        require_nothing_lost(killed)
    while not play(killed, tmp_path / "config.yaml", 120.0):
        pass
    assert (killed / folder.MODEL).read_bytes() == (whole / folder.MODEL).read_bytes()
    assert sorted(charges(killed)) == sorted(charges(whole))
    for name in (folder.ROUNDS, folder.METRICS):
        assert timeless(killed, name) == timeless(whole, name)


def test_a_kill_at_an_arbitrary_moment_changes_neither_model_nor_charges_nor_records(
    small: Make, tmp_path: Path
) -> None:
    # Another moment every time; a failure shows it.
    require_that_kills_change_nothing(small, tmp_path, 4, [random.uniform(0.01, 0.5)])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(2))
def test_kills_change_nothing_of_what_clients_remember_either(small: Make, tmp_path: Path, seed: int) -> None:
    def make(*overrides: str) -> Config:
        return small("secure_aggregation.subsample=0.3", *overrides)

    draws = random.Random(seed)
    require_that_kills_change_nothing(make, tmp_path, 8, [draws.uniform(0.01, 1.5) for _ in range(6)])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(5))
def test_ten_kills_at_arbitrary_moments_change_neither_model_nor_charges_nor_records(
    small: Make, tmp_path: Path, seed: int
) -> None:
    draws = random.Random(seed)
    require_that_kills_change_nothing(small, tmp_path, 12, [draws.uniform(0.01, 1.5) for _ in range(10)])


NURSERY = Path(__file__).with_name("kill_nursery.py")
NEVER = 600.0  # CPU seconds
NO_SPACE = 3
"""Exit code of the nursery's children that were refused space and said so in a typed error."""


class Played(NamedTuple):
    """Whether a run ended, the points that it then had passed, and its CPU seconds."""

    ended: bool
    points: int
    seconds: float


class Nursery:
    """A process that forks one child per order, so that a thousand kills import torch once."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.log = folder / "released.jsonl"
        (folder / "config.yaml").write_text(configuration.dump(config))
        command = [sys.executable, str(NURSERY), str(folder / "config.yaml"), str(self.log)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._read() == {"ready": True}

    def play(self, out: Path, *, seconds: float = NEVER, point: int = 0) -> Played:
        """Plays on in `out`, killed after so many CPU seconds or at a point."""
        found = self.order(out=str(out), seconds=seconds, point=point, file_bytes=0)
        assert found["signal"] in (0, signal.SIGKILL) and found["exit"] == 0, "see the traceback on stderr"
        return Played(found["signal"] == 0, int(str(found["points"])), float(str(found["seconds"])))

    def order(self, **words: object) -> dict[str, object]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def _read(self) -> dict[str, object]:
        assert self._process.stdout is not None
        found: dict[str, object] = json.loads(self._process.stdout.readline())
        return found


@pytest.fixture
def nursery(small: Make, tmp_path: Path) -> Iterator[Nursery]:
    made = Nursery(tmp_path, small("server.rounds=3", "simulation.dropout=0.05"))
    yield made
    made.close()


def require_all_released_is_charged_once(out: Path, log: Path) -> float:
    """Holds what left the clients against the ledger of `out`; returns epsilon of what the worst released."""
    answers: dict[tuple[object, ...], set[str]] = {}
    released: set[tuple[int, int, int]] = set()
    for line in log.read_text().splitlines() if log.exists() else ():
        client, context, step, round, attempt, reply = json.loads(line)
        answers.setdefault((client, context, step), set()).add(reply)
        if step == Step.MASK:
            released.add((client, round, attempt))
    assert all(len(replies) == 1 for replies in answers.values()), "a step was answered by two replies"
    if not (out / folder.LEDGER).exists():
        assert not released
        return 0.0
    with Ledger.open(out / folder.LEDGER, create=False) as ledger:
        ledger.verify()
        intents = [one for one in ledger.records() if one.kind == "intent"]
        charged = Counter((one.client, one.round, one.attempt) for one in intents)
        assert set(charged.values()) <= {1}, "a release was charged twice"
        assert released <= set(charged), "something left that was not charged"
        if not released:
            return 0.0
        (source,) = ledger.sources()
        ((event, _),) = ledger.spent(source)
        most = max(Counter(client for client, _, _ in released).values())
        spent, left = (epsilon(one, 1e-5) for one in (ledger.spent(source), releases([(event, most)])))
    assert spent >= left
    return left


def committed(out: Path) -> int:
    """Lines of rounds that a checkpoint has committed, or more."""
    return len(folder.read_lines(out / folder.ROUNDS)) if (out / folder.CHECKPOINT).exists() else 0


def require_finished(out: Path, log: Path, rounds: int) -> None:
    """Every round was played to its end once, and the summary states what was released or more."""
    lines = folder.read_lines(out / folder.ROUNDS)
    slots = [(line["round"], line["attempt"]) for line in lines]
    assert len(slots) == len(set(slots))
    assert {round for round, _ in slots} == set(range(1, rounds + 1))
    stated = folder.read_json(out / folder.SUMMARY)["epsilon"]
    assert isinstance(stated, float)
    assert 0 < require_all_released_is_charged_once(out, log) <= stated <= 8.0


def play_through(nursery: Nursery, out: Path, kills: Iterator[dict[str, float]], most: int) -> int:
    """Plays a run whole through at most so many kills, checked after each; how many hit."""
    nursery.log.unlink(missing_ok=True)
    hit, ended = 0, False
    while not ended:
        ended = nursery.play(out, **(next(kills) if hit < most else {})).ended  # type: ignore[arg-type]
        require_all_released_is_charged_once(out, nursery.log)
        hit += not ended
    require_finished(out, nursery.log, 3)
    return hit


def moments(latest: float) -> Iterator[dict[str, float]]:
    while True:
        yield {"seconds": random.uniform(0.0, latest)}


def at_points(*numbers: int) -> Iterator[dict[str, float]]:
    for number in numbers:
        yield {"point": number}


def test_kills_of_a_private_run_leave_all_that_was_released_charged_and_answered_once(
    nursery: Nursery, tmp_path: Path
) -> None:
    # Other moments and points every time; a failure shows which.
    whole = nursery.play(tmp_path / "whole")
    require_finished(tmp_path / "whole", nursery.log, 3)
    hit, played = 0, 0
    while hit == 0:  # a run's CPU time varies by a tenth, so one in twenty ends before its moment comes
        played += 1
        hit = play_through(nursery, tmp_path / f"moments{played}", moments(whole.seconds), 3)
    for point in random.sample(range(1, whole.points), 1):
        assert play_through(nursery, tmp_path / f"point{point}", at_points(point), 1) == 1, point


def test_a_run_that_finds_no_more_space_stops_with_a_typed_error_and_loses_nothing(
    nursery: Nursery, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    # The ledger grows with the steps of a round: the first limit stops it in the draw, the others later.
    for file_bytes in (60_000, 100_000, 140_000):
        found = nursery.order(out=str(out), seconds=NEVER, point=0, file_bytes=file_bytes)
        assert (found["signal"], found["exit"]) == (0, NO_SPACE)
        require_all_released_is_charged_once(out, nursery.log)
    assert nursery.play(out).ended
    require_finished(out, nursery.log, 3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_kill_at_every_instrumented_point_loses_and_repeats_nothing(
    nursery: Nursery, tmp_path: Path
) -> None:
    last = nursery.play(tmp_path / "whole").points
    assert last > 100
    hit = sum(
        play_through(nursery, tmp_path / f"point{point}", at_points(point), 1) for point in range(1, last)
    )
    print(f"{hit} kills at {last - 1} points")
    assert hit == last - 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_kills_at_random_times_lose_and_repeat_nothing(nursery: Nursery, tmp_path: Path) -> None:
    # Half of a run's time, so that most runs take several kills.
    latest, hit, played = nursery.play(tmp_path / "whole").seconds / 2, 0, 0
    while hit < 1000:
        played += 1
        hit += play_through(nursery, tmp_path / f"run{played}", moments(latest), 1000 - hit)
    print(f"{hit} kills over {played} runs")
