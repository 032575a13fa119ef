"""Where the time of a round goes: seconds by phase.

Rules kept here: the clock is an argument; phases may nest, and an inner phase's seconds are not
counted in the outer one, so the phases of a round add up to its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up seconds by phase name.

    Example:
        >>> ticks = iter([0.0, 1.0, 3.0, 10.0])
        >>> watch = Stopwatch(clock=lambda: next(ticks))
        >>> with watch.measure("masking"):
        ...     with watch.measure("training"):
        ...         pass
        >>> watch.take()
        {'training': 2.0, 'masking': 8.0}
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}
        self._inner: list[float] = []

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Charges the body's seconds, less those of phases inside it, to `phase`."""
        start = self._clock()
        self._inner.append(0.0)
        try:
            yield
        finally:
            elapsed = self._clock() - start
            self.add(phase, elapsed - self._inner.pop())
            if self._inner:
                self._inner[-1] += elapsed

    def add(self, phase: str, seconds: float) -> None:
        """Adds seconds that were measured elsewhere, in a worker process for instance."""
        self._seconds[phase] = self._seconds.get(phase, 0.0) + seconds

    def take(self) -> dict[str, float]:
        """The seconds so far; the stopwatch starts again from nothing."""
        seconds, self._seconds = self._seconds, {}
        return seconds
