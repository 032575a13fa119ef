"""The stopwatch: nested phases add up to the time that passed, and no second is counted twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from securefl.federation import Stopwatch


def ticking(*times: float) -> Callable[[], float]:
    ticks = iter(times)
    return lambda: next(ticks)


def test_the_phases_of_a_round_add_up_to_its_time_however_they_nest() -> None:
    watch = Stopwatch(ticking(0.0, 1.0, 3.0, 4.0, 9.0, 10.0, 20.0, 32.0))
    with watch.measure("unmasking"):
        with watch.measure("masking"), watch.measure("training"):
            pass
        with watch.measure("masking"):
            pass
    seconds = watch.take()
    assert seconds == {"training": 1.0, "masking": 7.0 + 10.0, "unmasking": 32.0 - 8.0 - 10.0}
    assert sum(seconds.values()) == 32.0


def test_a_phase_that_raises_is_still_counted_and_closed() -> None:
    watch = Stopwatch(ticking(0.0, 2.0, 5.0, 6.0))
    with pytest.raises(ValueError, match="broken"), watch.measure("training"):
        raise ValueError("broken")
    with watch.measure("rule"):
        pass
    assert watch.take() == {"training": 2.0, "rule": 1.0}


def test_taking_starts_again_from_nothing_and_keeps_what_is_still_running() -> None:
    watch = Stopwatch(ticking(0.0, 4.0))
    with watch.measure("exchange"):
        watch.add("training", 1.5)
        watch.add("training", 0.5)
        assert watch.take() == {"training": 2.0}
    assert watch.take() == {"exchange": 4.0}
    assert watch.take() == {}
