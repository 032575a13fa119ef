"""Worker processes: the same answers as one process, and what remains when one of them dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

import securefl
from securefl.config import Config
from securefl.errors import DataError, LedgerError, SecureFLError
from securefl.federation import Party, Prepared, Stopwatch
from securefl.transport import Processes

Make = Callable[..., Config]


class Memory:
    """A store without a disk: its transactions are empty."""

    def transaction(self) -> object:
        return nullcontext()


@dataclass(frozen=True)
class Echo:
    """Answers with its id, its process and the request; does as it is told by some requests."""

    id: int

    def prepare(self, request: bytes) -> Prepared:
        if request == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        if request == b"refuse":
            raise DataError("not with my data")
        if request == b"break":
            raise LedgerError("ledger.sqlite: the disk is gone")
        pid = str(os.getpid()).encode()
        return Prepared(b"%d %s %s" % (self.id, pid, request), Memory(), int)  # type: ignore[arg-type]


def echoes(clients: tuple[int, ...], stopwatch: Stopwatch) -> Mapping[int, Party]:
    stopwatch.add("building", 1.0)
    return {client: Echo(client) for client in clients}


def unready(clients: tuple[int, ...], stopwatch: Stopwatch) -> Mapping[int, Party]:
    if 1 in clients:
        raise DataError("rows.csv: expected rows, got none")
    return echoes(clients, stopwatch)


def crashing(clients: tuple[int, ...], stopwatch: Stopwatch) -> Mapping[int, Party]:
    if 1 in clients:
        os._exit(7)
    return echoes(clients, stopwatch)


@contextmanager
def running(clients: int, workers: int) -> Iterator[Processes]:
    processes = Processes(echoes, tuple(range(clients)), workers)
    try:
        yield processes
    finally:
        processes.close()


def children() -> set[str]:
    return {child.name for child in multiprocessing.active_children()}


def test_a_killed_worker_takes_only_its_own_clients_out_of_the_exchange() -> None:
    with running(clients=5, workers=2) as exchange:
        first = exchange(dict.fromkeys(range(5), b"hello"))
        owners = {client: reply.split()[1] for client, reply in first.items()}
        assert owners[0] == owners[2] == owners[4] != owners[1] == owners[3], "one owner per client"
        seconds = Stopwatch()
        exchange.collect(seconds)
        assert seconds.take()["building"] == 2.0, "summed over the workers"
        replies = exchange({0: b"still here", 1: b"die", 2: b"still here", 3: b"still here"})
        assert set(replies) == {0, 2}
        assert set(exchange.refusals) == {1, 3}
        assert "securefl-worker-1 ended (exit code -9)" in exchange.refusals[3]
        assert set(exchange(dict.fromkeys(range(5), b"and later"))) == {0, 2, 4}


def test_a_refusal_silences_one_client_and_a_broken_ledger_stops_everybody() -> None:
    with running(clients=4, workers=2) as exchange:
        assert set(exchange({0: b"x", 1: b"refuse", 2: b"x", 3: b"x"})) == {0, 2, 3}
        assert exchange.refusals == {1: "DataError: not with my data"}
        with pytest.raises(LedgerError, match="the disk is gone"):
            exchange({2: b"break"})


def test_no_more_workers_are_started_than_there_are_clients() -> None:
    with running(clients=1, workers=8) as exchange:
        assert children() == {"securefl-worker-0"}
        assert set(exchange({0: b"x"})) == {0}
    assert children() == set()


@pytest.mark.parametrize(
    ("hosts", "says"),
    [
        (unready, "worker-1 could not start: rows.csv: expected rows, got none"),
        (crashing, r"worker-1 could not start: it ended before it was ready \(exit code 7\)"),
    ],
)
def test_a_worker_that_cannot_start_is_a_typed_error_and_leaves_no_process(
    hosts: Callable[[tuple[int, ...], Stopwatch], Mapping[int, Party]], says: str
) -> None:
    with pytest.raises(SecureFLError, match=says):
        Processes(hosts, (0, 1, 2), 2)
    assert children() == set()


INTERRUPTED = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
from test_processes import Processes, echoes

if __name__ == "__main__":
    # A shell that starts the tests in the background lets them inherit an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    processes = Processes(echoes, (0, 1), 2)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        os.killpg(0, signal.SIGINT)
        for _ in range(400):  # the signal may have met another thread: `signal.pause` would wait for one more
            time.sleep(0.05)
        sys.exit("never interrupted")
    except KeyboardInterrupt:
        pass
    print(sorted(processes({0: b"x", 1: b"x"})))
    processes.close()
"""


@pytest.mark.parametrize(("ending", "code", "says"), [("interrupted", 0, "[0, 1]\n"), ("killed", -9, "")])
def test_workers_leave_ctrl_c_to_the_parent_and_end_quietly_when_it_is_gone(
    ending: str, code: int, says: str, tmp_path: Path
) -> None:
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    # The pipes reach their end only when every process that holds them has ended.
    done = subprocess.run(
        [sys.executable, str(script), str(Path(__file__).parent), ending],
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, says, "")


def test_a_run_goes_on_without_the_clients_of_a_killed_worker(small: Make) -> None:
    config = small(
        "engine={kind: processes, workers: 2}",
        "secure_aggregation={group_size: 9, threshold: 5, clip_norm: 1.0, epoch_rounds: 3}",
        "robust={rule: mean, max_malicious: 0}",
    )
    with securefl.build_federated_averaging(config) as process:
        state, first = process.next(process.initialize())
        doomed = next(one for one in multiprocessing.active_children() if one.name == "securefl-worker-1")
        doomed.kill()
        doomed.join()
        _, second = process.next(state)
    assert (first.record.status, first.record.dropped) == ("done", ())
    assert second.record.status == "done", "the five who are left meet the threshold"
    assert second.record.dropped == (1, 3, 5, 7)
    assert "exit code -9" in second.record.refusals[1]
