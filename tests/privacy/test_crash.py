"""Killed with SIGKILL anywhere, a released reply always has its intent, and memory is never half of a step.

Real processes are killed at chosen points and at arbitrary moments; two real processes write at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from securefl.privacy.events import SampledGaussian
from securefl.privacy.ledger import Ledger, Release, StoredAnswer

EVENT = SampledGaussian(2.0, 1.0, 1)
POINTS = ("begun", "charged", "answered", "forgot", "spilled", "committed", "released")

PRELUDE = """
import os, signal, sys
from securefl.privacy.events import SampledGaussian
from securefl.privacy.ledger import Ledger, Release
event = SampledGaussian(2.0, 1.0, 1)
def release(round, run="run", client=0):
    return Release("source", run, client, round, 0, event)
"""

ONE_STEP = (
    PRELUDE
    + """
def reached(point):
    if point == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
ledger = Ledger.open(sys.argv[1])
if sys.argv[2] == "spilled":
    ledger._database.rows("PRAGMA cache_size = 1")  # pages go to the file before the commit
with ledger.transaction():
    reached("begun")
    ledger.intend(release(2))
    reached("charged")
    ledger.store_answer(0, b"context", 3, 2, b"hash", b"state", b"reply" * 200_000)
    reached("answered")
    ledger.forget_before(0, 2)
    reached("forgot")
    reached("spilled")
reached("committed")
print("reply", flush=True)
reached("released")
"""
)

MANY_STEPS = (
    PRELUDE
    + """
ledger = Ledger.open(sys.argv[1])
first = 1 + len(ledger.spent("source") and ledger.records())
for round in range(first, 100_000):
    with ledger.transaction():
        ledger.intend(release(round))
        ledger.store_answer(0, b"%d" % round, 3, round, b"hash", b"state", b"%d" % round * 5000)
    print(round, flush=True)
"""
)

WRITE_BESIDE = (
    PRELUDE
    + """
with Ledger.open(sys.argv[1]) as ledger:
    print("open", flush=True)
    for round in range(25):
        ledger.intend(release(round, client=2))
"""
)

SPEND_ALL = (
    PRELUDE
    + """
from securefl.errors import BudgetExceeded
from securefl.privacy import spending
# One per release: what is tested is who gets the last one, and the accounting library takes a second to load.
spending.epsilon = lambda spent, delta, method: sum(count for _, count in spent)
with Ledger.open(sys.argv[1]) as ledger:
    print("open", flush=True)
    sys.stdin.readline()
    try:
        for round in range(100):
            ledger.charge(release(round, run=sys.argv[2]), 9.0, 1e-5)
    except BudgetExceeded:
        pass
"""
)


UNTIL_FULL = (
    PRELUDE
    + """
import resource
from securefl.errors import LedgerError
ledger = Ledger.open(sys.argv[1])
if int(sys.argv[2]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for round in range(1, 100_000):
    try:
        with ledger.transaction():
            ledger.intend(release(round))
            ledger.store_answer(0, b"%d" % round, 3, round, b"hash", b"state", b"%d" % round * 5000)
    except LedgerError as error:
        print(error, file=sys.stderr)
        break
    print(round, flush=True)
"""
)


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_a_released_reply_has_its_intent_and_nothing_is_half_written(
    path: Path, point: str
) -> None:
    with Ledger.open(path) as ledger:
        ledger.store_answer(0, b"older", 3, 1, b"hash", b"old state", b"old reply")
    child = start(ONE_STEP, path, point)
    said, _ = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    if point == "spilled":
        assert path.with_name(path.name + "-journal").exists(), "the kill was meant to leave a hot journal"
    with Ledger.open(path, create=False) as ledger:
        ledger.verify()
        committed = point in ("committed", "released")
        assert bool(said) <= committed
        assert ledger.spent("source") == (((EVENT, 1),) if committed else ())
        expected = StoredAnswer(b"hash", b"state", b"reply" * 200_000) if committed else None
        assert ledger.stored_answer(0, b"context", 3) == expected
        assert (ledger.latest_state(0, b"older") is None) == committed
        ledger.intend(Release("source", "run", 0, 3, 0, EVENT))  # life goes on, and sweeps the journal away
    assert os.listdir(path.parent) == [path.name]


def test_killed_at_arbitrary_moments_every_released_reply_is_charged_and_stored(path: Path) -> None:
    Ledger.open(path).close()
    released: list[int] = []
    moments = (1, 4, 9, 16)
    for kills, milliseconds in enumerate(moments, 1):
        child = start(MANY_STEPS, path)
        assert child.stdout is not None
        released.append(int(child.stdout.readline()))
        time.sleep(milliseconds / 1000)
        child.kill()
        # Not `communicate`: it would miss lines that came with the first one.
        released += [int(line) for line in child.stdout.read().splitlines()]
        child.communicate(timeout=60)
        with Ledger.open(path, create=False) as ledger:
            ledger.verify()
            charged = [record.round for record in ledger.records()]
            assert charged == list(range(1, len(charged) + 1))
            assert set(released) <= set(charged)
            # What was charged and not released: per kill at most the one step between commit and release.
            assert len(charged) - len(released) <= kills
            for round in charged:
                answer = ledger.stored_answer(0, b"%d" % round, 3)
                assert answer is not None and answer.reply == b"%d" % round * 5000


@contextmanager
def tiny_file_system(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a file system of 300 kB")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def require_nothing_lost_for_want_of_space(path: Path, limit: int) -> None:
    child = subprocess.run(
        [sys.executable, "-c", UNTIL_FULL, str(path), str(limit)], capture_output=True, text=True, timeout=60
    )
    assert child.returncode == 0, child.stderr
    assert "free some disk space" in child.stderr
    released = [int(line) for line in child.stdout.splitlines()]
    assert len(released) > 2
    with Ledger.open(path, create=False) as ledger:
        ledger.verify()
        assert [record.round for record in ledger.records()] == released
        for round in released:
            answer = ledger.stored_answer(0, b"%d" % round, 3)
            assert answer is not None and answer.reply == b"%d" % round * 5000
        assert ledger.stored_answer(0, b"%d" % (released[-1] + 1), 3) is None


def test_a_file_that_may_not_grow_any_more_loses_the_step_in_hand_and_nothing_before(path: Path) -> None:
    require_nothing_lost_for_want_of_space(path, 150_000)
    with Ledger.open(path) as ledger:  # there is space again
        ledger.intend(Release("source", "run", 1, 1, 0, EVENT))


def test_a_file_system_that_is_full_loses_the_step_in_hand_and_nothing_before(tmp_path: Path) -> None:
    with tiny_file_system(tmp_path / "tiny") as folder:
        path = folder / "ledger.sqlite"
        require_nothing_lost_for_want_of_space(path, 0)
        subprocess.run(["mount", "-o", "remount,size=600k", str(folder)], check=True)
        with Ledger.open(path) as ledger:
            ledger.intend(Release("source", "run", 1, 1, 0, EVENT))
            ledger.verify()


def test_a_second_process_that_writes_at_the_same_time_breaks_nothing(path: Path) -> None:
    with Ledger.open(path) as ledger:
        child = start(WRITE_BESIDE, path)
        assert child.stdout is not None
        child.stdout.readline()
        for round in range(25):
            ledger.intend(Release("source", "run", 1, round, 0, EVENT))
        child.communicate(timeout=60)
        assert child.returncode == 0
        ledger.verify()
        assert ledger.spent_by("source", "run", 1) == ledger.spent_by("source", "run", 2) == ((EVENT, 25),)


def test_two_processes_that_spend_the_same_budget_do_not_both_get_the_last_of_it(path: Path) -> None:
    Ledger.open(path).close()
    children = [start(SPEND_ALL, path, run) for run in ("a", "b")]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=60)
    assert [child.returncode for child in children] == [0, 0]
    with Ledger.open(path) as ledger:
        ledger.verify()
        assert ledger.spent("source") == ((EVENT, 9),)
