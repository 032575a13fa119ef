"""A function over many inputs, in worker processes with one torch thread each.

Rules kept here: workers are spawned, never forked, because a fork would share random streams; results come
as they are done. With one worker everything stays in this process.

What this file does NOT do: catch errors of the function; the caller's function does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")
_THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def mapped(
    function: Callable[[Given], Made], inputs: Sequence[Given], workers: int
) -> Iterator[tuple[Given, Made]]:
    """(input, result) of each input, in any order. With more than one worker the function is pickled."""
    workers = min(workers, len(inputs))
    if workers <= 1:
        yield from ((one, function(one)) for one in inputs)
        return
    with _single_threaded(), ProcessPoolExecutor(workers, get_context("spawn"), _one_thread) as pool:
        try:
            running = {pool.submit(function, one): one for one in inputs}
            for future in as_completed(running):
                yield running[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one_thread() -> None:
    from securefl.training import limit_threads

    limit_threads(1)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Children read their thread counts from the environment when they import numpy and torch."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(_THREADS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
