"""Worker processes: clients spread over several processes, one BLAS and torch thread each.

Rules kept here:
- Workers are spawned, never forked: a fork would share random streams.
- A client lives in exactly one worker (its id modulo the number of workers), so its state has one
  owner and results do not depend on the number of workers.
- A worker that dies takes its clients out of the exchange like any other dropout; the run goes on
  if enough of them remain, and its stderr says why. One that cannot even start ends the run.
- Ctrl-C is the parent's: a worker finishes its answer and ends when the parent closes it or is gone.

What this file does NOT do: cross machines. Pipes connect a parent with its own children, which is
why their framing may use multiprocessing's own serialisation.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from securefl.errors import SecureFLError
from securefl.federation.client import Answers, Party, answer_all
from securefl.federation.stopwatch import Stopwatch

Hosts = Callable[[tuple[int, ...], Stopwatch], Mapping[int, Party]]
"""Builds the parties with these ids inside the worker. Must be picklable."""

_THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


class Processes:
    """An `Exchange` over worker processes; close it when the run ends.

    Args:
        hosts: builds a worker's parties; called once inside each worker.
        clients: all client ids.
        workers: number of processes, of which no more are started than there are clients.

    Raises:
        SecureFLError: a worker could not start; none is left running.
    """

    def __init__(self, hosts: Hosts, clients: tuple[int, ...], workers: int) -> None:
        self.refusals: dict[int, str] = {}
        self._seconds: dict[str, float] = {}
        self._workers: list[_Worker] = []
        workers = min(workers, len(clients))
        try:
            for index in range(workers):
                mine = tuple(client for client in clients if client % workers == index)
                self._workers.append(_Worker(hosts, mine, index))
            for worker in self._workers:
                worker.await_ready()
        except BaseException:
            self.close()
            raise

    def __call__(self, requests: dict[int, bytes]) -> dict[int, bytes]:
        """One exchange: all workers answer at the same time."""
        for worker in self._workers:
            worker.ask({client: requests[client] for client in worker.clients if client in requests})
        replies: dict[int, bytes] = {}
        for worker in self._workers:
            answers, seconds = worker.receive()
            replies.update(answers.replies)
            self.refusals.update(answers.refusals)
            for phase, value in seconds.items():
                self._seconds[phase] = self._seconds.get(phase, 0.0) + value
        return {client: replies[client] for client in requests if client in replies}

    def collect(self, stopwatch: Stopwatch) -> None:
        """Hands the workers' seconds (summed over workers) to the caller's stopwatch."""
        seconds, self._seconds = self._seconds, {}
        for phase, value in seconds.items():
            stopwatch.add(phase, value)

    def close(self) -> None:
        """Ends the workers; safe to call twice."""
        for worker in self._workers:
            worker.close()


class _Worker:
    def __init__(self, hosts: Hosts, clients: tuple[int, ...], index: int) -> None:
        self.clients = clients
        context = multiprocessing.get_context("spawn")
        self._pipe, child = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(child, hosts, clients), name=f"securefl-worker-{index}", daemon=True
        )
        with _single_threaded(), _uninterrupted():
            self._process.start()
        child.close()
        self._asked: tuple[int, ...] = ()

    def await_ready(self) -> None:
        try:
            problem = self._pipe.recv()
        except (EOFError, OSError):
            problem = f"it ended before it was ready ({self._ending()}); what it wrote to stderr says why"
        if problem is not None:
            raise SecureFLError(f"worker process {self._process.name} could not start: {problem}")

    def ask(self, requests: dict[int, bytes]) -> None:
        self._asked = tuple(requests)
        if requests:
            with suppress(OSError):
                self._pipe.send(requests)

    def receive(self) -> tuple[Answers, dict[str, float]]:
        if not self._asked:
            return Answers({}, {}), {}
        try:
            answers, seconds = self._pipe.recv()
        except (EOFError, OSError):
            gone = f"worker process {self._process.name} ended ({self._ending()})"
            return Answers({}, dict.fromkeys(self._asked, gone)), {}
        if isinstance(answers, SecureFLError):
            raise answers
        return answers, seconds

    def close(self) -> None:
        with suppress(OSError):
            self._pipe.send(None)
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.terminate()
        self._pipe.close()

    def _ending(self) -> str:
        self._process.join(timeout=10)
        return f"exit code {self._process.exitcode}"


class _single_threaded:
    """Children read their thread counts from the environment when they import numpy and torch."""

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in _THREADS}
        os.environ.update(_THREADS)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _uninterrupted:
    """Children inherit the mask, from before their first import: Ctrl-C reaches the parent alone."""

    def __enter__(self) -> None:
        # Started by the first child otherwise, and it lifts the mask again.
        resource_tracker.ensure_running()
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def _serve(pipe: Connection, hosts: Hosts, clients: tuple[int, ...]) -> None:
    # A parent that is gone takes no answers: they are stored, and it will ask for them when resumed.
    with suppress(EOFError, ConnectionError):
        _serve_parent(pipe, hosts, clients)


def _serve_parent(pipe: Connection, hosts: Hosts, clients: tuple[int, ...]) -> None:
    stopwatch = Stopwatch()
    try:
        parties = hosts(clients, stopwatch)
    except SecureFLError as problem:
        pipe.send(str(problem))
        return
    pipe.send(None)
    while (requests := pipe.recv()) is not None:
        try:
            answers: object = answer_all(parties, requests)
        except SecureFLError as problem:
            answers = problem
        pipe.send((answers, stopwatch.take()))
