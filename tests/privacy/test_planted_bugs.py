"""Bugs of this layer, planted on purpose: each is caught by a check that the honest code passes.

A check is a function that takes an implementation and asserts; a bug is a wrong implementation. The two
tests at the bottom run every check against the honest code and against its bugs. Bugs of clipping,
NaN examples and division by the private n belong to the training layer's tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from statistics import NormalDist
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl.crypto.randomness import Stream, SystemRandomness
from securefl.errors import LedgerError, PrivacyError
from securefl.privacy import accountant
from securefl.privacy.accountant import epsilon
from securefl.privacy.events import Releases, SampledGaussian
from securefl.privacy.ledger import Ledger, Release
from securefl.privacy.noise import gaussian, poisson_sample
from securefl.privacy.spending import Spending

Draw: TypeAlias = Callable[[Stream, int], NDArray[np.float64]]
Sample: TypeAlias = Callable[[Stream, int, float], NDArray[np.int64]]
Epsilon: TypeAlias = Callable[[Releases, float], float]

EVENT = SampledGaussian(2.0, 1.0, 1)
DELTA = 1e-5


def stream(number: int) -> Stream:
    return Stream(number.to_bytes(32, "big"))


# -- noise ------------------------------------------------------------------------------------------


def noise_has_unit_variance(draw: Draw) -> None:
    # One million draws: standard error of the variance sqrt(2 / n) = 0.14 %, five of them 0.7 %.
    assert abs(draw(stream(1), 1_000_000).var() - 1) < 7e-3


def noise_is_normal_in_shape(draw: Draw) -> None:
    draws = np.sort(draw(stream(2), 20_000))
    cdf = np.array([NormalDist().cdf(x) for x in draws])
    # Dvoretzky-Kiefer-Wolfowitz at 1e-6.
    assert np.abs(cdf - np.arange(draws.size) / draws.size).max() < math.sqrt(
        math.log(2e6) / (2 * draws.size)
    )


def clients_have_independent_noise(draw: Draw) -> None:
    source = SystemRandomness()
    one, two = (draw(source.stream("noise", client), 10_000) for client in (1, 2))
    assert abs(np.mean(one * two)) < 6 / math.sqrt(one.size)


def noise_cannot_be_replayed_from_a_seed(draw: Draw) -> None:
    runs = []
    for _ in range(2):
        np.random.seed(7)  # the experiment seed of two equal runs
        runs.append(draw(SystemRandomness().stream("noise"), 100))
    assert not np.array_equal(*runs)


def rounds_have_fresh_noise(draw: Draw) -> None:
    one = stream(3)
    assert not np.array_equal(draw(one, 100), draw(one, 100))


def constant_seeded(_: Stream, size: int) -> NDArray[np.float64]:
    return np.random.default_rng(7).standard_normal(size)


def globally_seeded(_: Stream, size: int) -> NDArray[np.float64]:
    return np.random.standard_normal(size)


# -- sampling ---------------------------------------------------------------------------------------


def batches_vary_as_poisson_sampling_is_accounted(sample: Sample) -> None:
    population, rate, steps = 200, 0.2, 2000
    one = stream(4)
    sizes = np.array([sample(one, population, rate).size for _ in range(steps)])
    variance = population * rate * (1 - rate)
    assert abs(sizes.mean() - population * rate) < 5 * math.sqrt(variance / steps)
    assert abs(sizes.var() / variance - 1) < 5 * math.sqrt(2 / steps)


def steps_are_sampled_independently(sample: Sample) -> None:
    population, rate, steps = 1000, 0.2, 200
    one = stream(5)
    batches = [set(sample(one, population, rate).tolist()) for _ in range(steps)]
    shared = [len(left & right) for left, right in pairwise(batches)]
    expected, variance = population * rate**2, population * rate**2 * (1 - rate**2)
    # Overlaps of neighbouring pairs are nearly uncorrelated, so twice the independent error is ample.
    assert abs(np.mean(shared) - expected) < 10 * math.sqrt(variance / steps)


def empty_batches_are_kept(sample: Sample) -> None:
    population, rate, steps = 5, 0.1, 4000
    one = stream(6)
    empty = sum(sample(one, population, rate).size == 0 for _ in range(steps))
    p = (1 - rate) ** population
    assert abs(empty - steps * p) < 5 * math.sqrt(steps * p * (1 - p))


def shuffled() -> Sample:
    """Walks through a permutation in fixed batches, epoch after epoch."""
    steps = count()

    def sample(one: Stream, population: int, rate: float) -> NDArray[np.int64]:
        size = round(population * rate)
        start = next(steps) * size % population
        order = np.random.default_rng(start // population).permutation(population)
        return order[start : start + size]

    return sample


def shuffled_with_random_sizes() -> Sample:
    """Looks Poisson by its sizes, but walks through the data without replacement."""
    position = 0

    def sample(one: Stream, population: int, rate: float) -> NDArray[np.int64]:
        nonlocal position
        size = poisson_sample(one, population, rate).size
        chosen = np.arange(position, position + size) % population
        position = (position + size) % population
        return chosen

    return sample


def fixed_size(one: Stream, population: int, rate: float) -> NDArray[np.int64]:
    return np.argsort(one.uniforms(population))[: round(population * rate)]


def never_empty(one: Stream, population: int, rate: float) -> NDArray[np.int64]:
    while not (chosen := poisson_sample(one, population, rate)).size:
        pass
    return chosen


def one_sample_reused(_: Stream, population: int, rate: float) -> NDArray[np.int64]:
    return poisson_sample(stream(99), population, rate)


# -- accounting -------------------------------------------------------------------------------------


def rounds_add_up(accounted: Epsilon) -> None:
    # Ten Gaussians of multiplier s are one of s / sqrt(10), exactly.
    once = accounted(((SampledGaussian(2.0 / math.sqrt(10), 1.0, 1), 1),), DELTA)
    assert accounted(((EVENT, 10),), DELTA) == pytest.approx(once, abs=2e-3)
    assert accounted(((EVENT, 10),), DELTA) > 1.5 * accounted(((EVENT, 1),), DELTA)


def local_steps_are_counted(accounted: Epsilon) -> None:
    long, short = SampledGaussian(1.5, 0.2, 5), SampledGaussian(1.5, 0.2, 1)
    assert accounted(((long, 4),), DELTA) == pytest.approx(accounted(((short, 20),), DELTA), rel=1e-6)


def epsilon_is_at_least_the_exact_value(accounted: Epsilon) -> None:
    """Against the exact delta of the Gaussian mechanism (Balle and Wang 2018, theorem 8)."""
    for noise in (0.7, 1.0, 2.0, 5.0):
        eps = accounted(((SampledGaussian(noise, 1.0, 1), 1),), DELTA)
        shift, tilt = 1 / (2 * noise) / math.sqrt(2), eps * noise / math.sqrt(2)
        assert (math.erfc(tilt - shift) - math.exp(eps) * math.erfc(tilt + shift)) / 2 <= DELTA * (1 + 1e-9)


def epsilon_of_sampled_steps_is_at_least_the_tight_value(accounted: Epsilon) -> None:
    for noise, rate, steps in ((1.0, 0.2, 50), (0.8, 0.02, 300)):
        spent = ((SampledGaussian(noise, rate, steps), 1),)
        assert accounted(spent, DELTA) >= epsilon(spent, DELTA) * 0.999


def amplification_is_claimed_for_known_events_only(accounted: Epsilon) -> None:
    class Shuffled(SampledGaussian):
        """Claims the price of a Poisson sample."""

    with pytest.raises(PrivacyError, match="unknown privacy event"):
        accounted(((Shuffled(1.0, 0.2, 5), 1),), DELTA)


def trusting(spent: Releases, delta: float) -> float:
    return epsilon(
        tuple((SampledGaussian(e.noise_multiplier, e.sample_rate, e.steps), n) for e, n in spent), delta
    )


def without_local_steps(spent: Releases, delta: float) -> float:
    return epsilon(tuple((SampledGaussian(e.noise_multiplier, e.sample_rate, 1), n) for e, n in spent), delta)


def per_round(spent: Releases, delta: float) -> float:
    return max(epsilon(((event, 1),), delta) for event, _ in spent)


def halved_sensitivity(spent: Releases, delta: float) -> float:
    return epsilon(
        tuple((SampledGaussian(2 * e.noise_multiplier, e.sample_rate, e.steps), n) for e, n in spent), delta
    )


def gaussian_dp(spent: Releases, delta: float) -> float:
    """The central-limit approximation of Gaussian DP (Bu et al. 2020), which undershoots."""
    mu = math.sqrt(
        sum(
            e.sample_rate**2 * e.steps * n * (math.exp(min(e.noise_multiplier**-2, 50)) - 1)
            if e.sample_rate < 1
            else e.steps * n / e.noise_multiplier**2
            for e, n in spent
        )
    )
    return epsilon(((SampledGaussian(1 / mu, 1.0, 1), 1),), delta)


# -- the ledger -------------------------------------------------------------------------------------


class Spender:
    """How a client uses its ledger; bugs replace one habit each."""

    def charge(self, ledger: Ledger, release: Release, cap: float) -> None:
        ledger.charge(release, cap, DELTA)

    def resume(self, path: Path, head: str) -> Ledger:
        ledger = Ledger.open(path, create=False)
        try:
            ledger.verify(contains=head)
        except LedgerError:
            ledger.close()
            raise
        return ledger

    def spent(self, ledger: Ledger) -> Releases:
        return ledger.spent("source")


def releases_made_under_a_cap(spender: Spender, ledger: Ledger, run: str, cap: float) -> int:
    for made in range(20):
        try:
            spender.charge(ledger, Release("source", run, 0, made, 0, EVENT), cap)
        except PrivacyError:
            return made
    return 20


def budget_holds_within_a_run(spender: Spender) -> None:
    with TemporaryDirectory() as folder, Ledger.open(f"{folder}/ledger") as ledger:
        assert releases_made_under_a_cap(spender, ledger, "run", epsilon(((EVENT, 4),), DELTA)) == 4
        assert spender.spent(ledger) == ((EVENT, 4),)


def budget_holds_across_runs(spender: Spender) -> None:
    cap = epsilon(((EVENT, 4),), DELTA)
    with TemporaryDirectory() as folder, Ledger.open(f"{folder}/ledger") as ledger:
        for round in range(3):
            ledger.intend(Release("source", "earlier", 5, round, 0, EVENT))
        assert releases_made_under_a_cap(spender, ledger, "run", cap) == 1


def a_retry_is_charged(spender: Spender) -> None:
    with TemporaryDirectory() as folder, Ledger.open(f"{folder}/ledger") as ledger:
        for attempt in (0, 1):
            spender.charge(ledger, Release("source", "run", 0, 1, attempt, EVENT), 100.0)
        assert spender.spent(ledger) == ((EVENT, 2),)


def resuming_finds_the_ledger_that_was_left(spender: Spender) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger"
        with Ledger.open(path) as ledger:
            spender.charge(ledger, Release("source", "run", 0, 1, 0, EVENT), 100.0)
            head = ledger.head()
        with spender.resume(path, head) as ledger:
            assert spender.spent(ledger) == ((EVENT, 1),)
        path.unlink()  # lost, or reset by somebody
        with pytest.raises(LedgerError):
            spender.resume(path, head).close()


def runs_add_up_whatever_the_partition(spender: Spender) -> None:
    with TemporaryDirectory() as folder, Ledger.open(f"{folder}/ledger") as ledger:
        for run, client in (("a", 1), ("b", 2)):
            ledger.intend(Release("source", run, client, 1, 0, EVENT))
        assert spender.spent(ledger) == ((EVENT, 2),)


class NeverAsksTheAccountant(Spender):
    def charge(self, ledger: Ledger, release: Release, cap: float) -> None:
        ledger.intend(release)


class NeverCharges(Spender):
    def charge(self, ledger: Ledger, release: Release, cap: float) -> None:
        ledger.check(release.source, release.run, release.client, release.event, cap, DELTA)


class ForgetsOtherRuns(Spender):
    def charge(self, ledger: Ledger, release: Release, cap: float) -> None:
        own = dict(ledger.spent_by(release.source, release.run, release.client))
        if epsilon(((EVENT, own.get(EVENT, 0) + 1),), DELTA) > cap:
            raise PrivacyError
        ledger.intend(release)


class RetriesForFree(Spender):
    def charge(self, ledger: Ledger, release: Release, cap: float) -> None:
        if release.attempt == 0:
            ledger.charge(release, cap, DELTA)


class StartsAnewOnResume(Spender):
    def resume(self, path: Path, head: str) -> Ledger:
        path.unlink(missing_ok=True)
        return Ledger.open(path)


class CreatesWhatIsMissing(Spender):
    def resume(self, path: Path, head: str) -> Ledger:
        return Ledger.open(path)


class TakesTheWorstRun(Spender):
    def spent(self, ledger: Ledger) -> Releases:
        spendings: dict[str, Spending] = {}
        for record in ledger.records():
            spendings.setdefault(record.run, Spending("")).absorb(record)
        return max((one.of_source("source") for one in spendings.values()), default=())


HONEST_AND_BUGS: list[tuple[Callable[..., None], Callable[[], object], dict[str, Callable[[], object]]]] = [
    (
        noise_has_unit_variance,
        lambda: gaussian,
        {
            "noise x0.5": lambda: lambda s, n: 0.5 * gaussian(s, n),
            "noise x0.99": lambda: lambda s, n: 0.99 * gaussian(s, n),
            "noise off": lambda: lambda s, n: np.zeros(n),
        },
    ),
    (
        noise_is_normal_in_shape,
        lambda: gaussian,
        {
            "uniform of the right variance": lambda: lambda s, n: (s.uniforms(n) - 0.5) * math.sqrt(12),
            "folded": lambda: lambda s, n: np.abs(gaussian(s, n)),
        },
    ),
    (
        clients_have_independent_noise,
        lambda: gaussian,
        {
            "same noise at all clients": lambda: lambda s, n: gaussian(stream(7), n),
            "seeded noise": lambda: constant_seeded,
        },
    ),
    (
        noise_cannot_be_replayed_from_a_seed,
        lambda: gaussian,
        {"global NumPy generator": lambda: globally_seeded, "own seeded generator": lambda: constant_seeded},
    ),
    (
        rounds_have_fresh_noise,
        lambda: gaussian,
        {"same noise every round": lambda: lambda s, n: gaussian(stream(7), n)},
    ),
    (
        batches_vary_as_poisson_sampling_is_accounted,
        lambda: poisson_sample,
        {"shuffled batches": shuffled, "fixed-size batches": lambda: fixed_size},
    ),
    (
        steps_are_sampled_independently,
        lambda: poisson_sample,
        {
            "shuffled batches": shuffled,
            "shuffled batches of random size": shuffled_with_random_sizes,
            "one sample for all steps": lambda: one_sample_reused,
        },
    ),
    (empty_batches_are_kept, lambda: poisson_sample, {"empty batch skipped": lambda: never_empty}),
    (rounds_add_up, lambda: epsilon, {"one accountant per round": lambda: per_round}),
    (local_steps_are_counted, lambda: epsilon, {"local steps forgotten": lambda: without_local_steps}),
    (
        epsilon_is_at_least_the_exact_value,
        lambda: epsilon,
        {"sensitivity halved": lambda: halved_sensitivity},
    ),
    (
        epsilon_of_sampled_steps_is_at_least_the_tight_value,
        lambda: partial(epsilon, method="rdp"),
        {
            "Gaussian DP approximation": lambda: gaussian_dp,
            "local steps forgotten": lambda: without_local_steps,
        },
    ),
    (
        amplification_is_claimed_for_known_events_only,
        lambda: epsilon,
        {"shuffling accounted as Poisson": lambda: trusting},
    ),
    (
        budget_holds_within_a_run,
        Spender,
        {"accountant not called": NeverAsksTheAccountant, "release not charged": NeverCharges},
    ),
    (budget_holds_across_runs, Spender, {"accountant per run": ForgetsOtherRuns}),
    (a_retry_is_charged, Spender, {"retry not charged": RetriesForFree}),
    (
        resuming_finds_the_ledger_that_was_left,
        Spender,
        {"ledger reset on resume": StartsAnewOnResume, "lost ledger replaced silently": CreatesWhatIsMissing},
    ),
    (runs_add_up_whatever_the_partition, Spender, {"worst run instead of their sum": TakesTheWorstRun}),
]


@pytest.mark.parametrize(
    ("check", "honest"),
    [pytest.param(check, honest, id=check.__name__) for check, honest, _ in HONEST_AND_BUGS],
)
def test_the_honest_code_passes_the_check(check: Callable[..., None], honest: Callable[[], object]) -> None:
    check(honest())


@pytest.mark.parametrize(
    ("check", "bug"),
    [
        pytest.param(check, bug, id=f"{name} is caught by {check.__name__}")
        for check, _, bugs in HONEST_AND_BUGS
        for name, bug in bugs.items()
    ],
)
def test_a_planted_bug_fails_the_check(check: Callable[..., None], bug: Callable[[], object]) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(bug())


def test_an_accountant_that_forgets_the_cross_check_would_still_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A PLD that came out three times too high (or an RDP a third of what it is) contradicts the other road.
    monkeypatch.setattr(accountant, "_rdp_epsilon", lambda steps, delta: epsilon(((EVENT, 1),), delta) / 3)
    with pytest.raises(PrivacyError, match="disagree"):
        accountant.cross_checked_epsilon(((EVENT, 1),), DELTA)
