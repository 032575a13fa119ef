"""From frozen events to epsilon, and from a target epsilon to the noise it needs.

Rules kept here:
- Epsilon is a pure function of (releases, delta, method). No accountant object is kept, so nothing
  can be forgotten or reset; results are cached because they cannot change.
- The guarantee is the privacy loss distribution (PLD), discretised pessimistically at 1e-3. Renyi DP
  is the cross-check: an upper bound by another road, which never comes out below the PLD by more than
  the PLD's own rounding.
  Gaussian DP's approximation falls below the tight value and is not offered.
- Releases at a sample rate of 1 are plain Gaussians and claim no amplification.
- Sums of discrete Gaussian shares have a published Renyi bound and no loss distribution: RDP only.
- Spendings of two units are not added up: what protects a client does not cost an example the same.
- dp-accounting, the only outside door of this package, is imported on first use.

What this file does NOT do: check that a mechanism does what its event says (`noise`, and the tests of
the training layer), or know how much was spent (`ledger`).

Reference: Koskela, Jaelkoe and Honkela 2020; Doroshenko et al. 2022, "Connect the Dots"; Mironov, Talwar
and Zhang 2019, "Renyi DP of the Sampled Gaussian Mechanism".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from securefl.errors import BudgetExceeded, ConfigError, PrivacyError
from securefl.privacy.concentrated import rho
from securefl.privacy.events import DistributedDiscreteGaussian, Releases, SampledGaussian, releases, total

METHODS = ("pld", "rdp")
DISCRETISATION = 1e-3
"""Width of the PLD's grid in units of epsilon; rounding on it is always upwards."""

_RDP_ORDERS = (*(quarter / 4 for quarter in range(8, 41)), *range(11, 65), 128, 256, 512, 1024)
"""No order below 2: dp-accounting's series for it does not converge at large sample rates."""

_ZCDP_ORDERS = tuple(1.0 + 2.0 ** (eighth / 8) for eighth in range(-48, 105))
"""From 1.02 to 8193: the best order of rho-zCDP is 1 + sqrt(log(1 / delta) / rho), to within a percent."""

SMALLEST_DELTA = 1e-12
"""The PLD truncates tails at 1e-15 and counts them as lost, so a smaller delta would be drowned in them."""

_NOISE_FLOOR, _NOISE_CEILING = 0.2, 1e5
_NOISE_DIGITS = 5


class _LossDistribution(Protocol):
    def compose(self, other: _LossDistribution) -> _LossDistribution: ...

    def self_compose(self, num_times: int) -> _LossDistribution: ...

    def get_epsilon_for_delta(self, delta: float) -> float: ...

    def get_delta_for_epsilon(self, epsilon: NDArray[np.float64]) -> NDArray[np.float64]: ...


def epsilon(spent: Releases, delta: float, method: str = "pld") -> float:
    """The epsilon at which all of `spent` together is (epsilon, delta)-differentially private.

    Guarantee: an upper bound under the events' own neighbouring relation, never below the true epsilon by
    more than floating-point error; 0 for no releases; non-decreasing in every count.

    Args:
        method: `pld` (tight) or `rdp` (looser; the only one for sums of discrete Gaussian shares).

    Raises:
        ConfigError: `delta` or `method` is not usable.
        PrivacyError: an event of unknown kind, or events of two units.

    Example:
        >>> round(epsilon(((SampledGaussian(1.0, 1.0, 1), 1),), delta=1e-5), 2)
        4.38
    """
    _require_delta(delta)
    if method not in METHODS:
        raise ConfigError(
            f"unknown accountant {method!r}; expected one of {', '.join(METHODS)}", "privacy.accountant"
        )
    shared = [(one, count) for one, count in releases(spent) if isinstance(one, DistributedDiscreteGaussian)]
    sampled = [(one, count) for one, count in releases(spent) if isinstance(one, SampledGaussian)]
    if shared:
        _require_accountable(bool(sampled), method)
        return _zcdp_epsilon(math.fsum(rho(one) * count for one, count in shared), float(delta))
    steps = _steps_by_mechanism(sampled)
    if not steps:
        return 0.0
    return _pld_epsilon(steps, float(delta)) if method == "pld" else _rdp_epsilon(steps, float(delta))


def loss_distribution(spent: Releases) -> _LossDistribution | None:
    """The discretised privacy loss of all of `spent` together, rounded upwards; None for no releases.

    Raises:
        PrivacyError: an event of unknown kind, or one whose loss has no known distribution.
    """
    sampled = [(one, count) for one, count in releases(spent) if isinstance(one, SampledGaussian)]
    if len(sampled) < len(releases(spent)):
        _require_accountable(bool(sampled), "pld")
    steps = _steps_by_mechanism(sampled)
    return _together(steps) if steps else None


def cross_checked_epsilon(spent: Releases, delta: float) -> float:
    """Epsilon by PLD, after asserting that Renyi DP's looser bound does not undercut it.

    Both are upper bounds. The PLD rounds each step up by at most its grid width, so at tiny epsilons
    RDP may come out lower by that much; by more, one of the two is wrong.

    Raises:
        PrivacyError: the two disagree, so neither is to be trusted.
    """
    tight, loose = epsilon(spent, delta, "pld"), epsilon(spent, delta, "rdp")
    steps = (one.steps * count for one, count in spent if isinstance(one, SampledGaussian))
    slack = DISCRETISATION * sum(steps)
    if loose < tight - slack:
        raise PrivacyError(
            f"the accountants disagree: RDP gives {loose:.6g}, below the tight PLD value {tight:.6g} at "
            f"delta {delta:g}; check the installed dp-accounting version before releasing anything"
        )
    return tight


def noise_multiplier_for(
    target: float,
    delta: float,
    sample_rate: float,
    steps: int,
    prior: Releases = (),
    method: str = "pld",
) -> float:
    """The smallest noise multiplier, rounded up to 5 digits, that keeps everything within `target`.

    Guarantee: `epsilon` of `steps` sampled Gaussians with the result, together with `prior`, is at
    most `target`; with 1 % less noise it is above, unless the result is the floor of 0.2.

    Args:
        target: epsilon over the whole run, `prior` included.
        sample_rate: Poisson rate of every step.
        steps: all noisy sums of the run: local steps x (rounds + spare releases).
        prior: what other runs have already spent on the same data.

    Raises:
        BudgetExceeded: `prior` alone passes the target, or leaves too little for any noise.
        ConfigError: `target` or `delta` is not usable.
    """
    if type(target) is bool or not (math.isfinite(target) and target > 0):
        raise ConfigError(f"epsilon must be a finite number above 0, got {target!r}", "privacy.epsilon")
    _require_delta(delta)
    return _solve_noise(float(target), float(delta), float(sample_rate), steps, releases(prior), method)


@lru_cache(maxsize=256)
def _solve_noise(target: float, delta: float, rate: float, steps: int, prior: Releases, method: str) -> float:
    already = epsilon(prior, delta, method)
    if already >= target:
        raise BudgetExceeded(
            f"the data has already been charged epsilon {already:.4g} at delta {delta:g}, which is "
            f"{already - target:.4g} above the target of {target:g}: nothing is left for this run. "
            "Raise the budget or use other data"
        )

    def everything(noise: float) -> Releases:
        return total(prior, ((SampledGaussian(noise, rate, steps), 1),))

    def spent_with(noise: float) -> float:
        return epsilon(everything(noise), delta, method)

    # About what one epsilon-4 run of so many steps needs: from far below it the first probes would cost
    # gigabytes. A power of two, so that the bracket, and with it the result, is that of a start at 1.
    start = 2.0 ** max(0, math.floor(math.log2(rate * math.sqrt(steps))))
    noise = smallest_within(spent_with, target, start)
    if noise is None:
        raise BudgetExceeded(
            f"no noise multiplier up to {_NOISE_CEILING:g} keeps {steps} steps within epsilon {target:g} at "
            f"delta {delta:g}; {already:.4g} is spent already. Raise epsilon, or plan fewer rounds or steps"
        )
    cross_checked_epsilon(everything(noise), delta)
    return noise


def smallest_within(spent_with: Callable[[float], float], target: float, start: float) -> float | None:
    """The smallest noise multiplier, rounded up to 5 digits, that spends at most `target`; None for none.

    It is the root of a decreasing function, from the side that keeps the promise, in log-log scale.
    """
    low, high = start / 2, start
    while spent_with(high) > target:
        low, high = high, high * 2
        if high > _NOISE_CEILING:
            return None
    while spent_with(low) <= target:
        high, low = low, low / 2
        if high <= _NOISE_FLOOR:
            return _NOISE_FLOOR
    noise = _rounded_up(_root(spent_with, target, low, high))
    while spent_with(noise) > target:
        noise = _rounded_up(noise * (1 + 10.0 ** (1 - _NOISE_DIGITS)))
    return noise


def _root(spent_with: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Illinois false position in log-log scale, where the curve is nearly straight.

    Stops when a probe moves by less than the digits that are kept; the caller checks the result.
    """
    goal = math.log(target)
    gap_low, gap_high = _log(spent_with(low)) - goal, _log(spent_with(high)) - goal
    probe, last_side = high, 0
    for _ in range(60):
        share = gap_low / (gap_low - gap_high) if math.isfinite(gap_low - gap_high) else 0.5
        previous, probe = probe, low * (high / low) ** share
        if abs(math.log(probe / previous)) < 10.0**-_NOISE_DIGITS:
            break
        gap = _log(spent_with(probe)) - goal
        side = 1 if gap > 0 else -1
        if side > 0:
            low, gap_low, gap_high = probe, gap, gap_high / (2 if side == last_side else 1)
        else:
            high, gap_high, gap_low = probe, gap, gap_low / (2 if side == last_side else 1)
        last_side = side
    return probe


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _rounded_up(noise: float) -> float:
    """`noise` with 5 significant digits, never less: the number printed is the number used."""
    scale = 10.0 ** (_NOISE_DIGITS - 1 - math.floor(math.log10(noise)))
    rounded = float(f"{math.ceil(noise * scale) / scale:.{_NOISE_DIGITS}g}")
    return max(rounded, _NOISE_FLOOR)


def _steps_by_mechanism(spent: Iterable[tuple[SampledGaussian, int]]) -> tuple[tuple[float, float, int], ...]:
    """(noise multiplier, sample rate, steps), steps summed over releases: all that epsilon depends on."""
    steps: dict[tuple[float, float], int] = {}
    for event, count in spent:
        key = (event.noise_multiplier, event.sample_rate)
        steps[key] = steps.get(key, 0) + event.steps * count
    return tuple((noise, rate, number) for (noise, rate), number in sorted(steps.items()))


@lru_cache(maxsize=4096)
def _pld_epsilon(steps: tuple[tuple[float, float, int], ...], delta: float) -> float:
    return float(_together(steps).get_epsilon_for_delta(delta))


def _together(steps: tuple[tuple[float, float, int], ...]) -> _LossDistribution:
    distribution = _composed(*steps[0])
    for mechanism in steps[1:]:
        distribution = distribution.compose(_composed(*mechanism))
    return distribution


@lru_cache(maxsize=16)
def _composed(noise: float, rate: float, steps: int) -> _LossDistribution:
    if rate == 1.0:
        # Gaussians add up exactly, so nothing is lost to repeated discretisation.
        return _one_step(noise / math.sqrt(steps), 1.0)
    return _one_step(noise, rate).self_compose(steps)


@lru_cache(maxsize=32)
def _one_step(noise: float, rate: float) -> _LossDistribution:
    from dp_accounting.pld import privacy_loss_distribution as pld

    distribution: _LossDistribution = pld.from_gaussian_mechanism(
        standard_deviation=noise,
        sampling_prob=rate,
        value_discretization_interval=DISCRETISATION,
        pessimistic_estimate=True,
    )
    return distribution


@lru_cache(maxsize=4096)
def _rdp_epsilon(steps: tuple[tuple[float, float, int], ...], delta: float) -> float:
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(orders=_RDP_ORDERS)
    for noise, rate, number in steps:
        gaussian = dp_accounting.GaussianDpEvent(noise)
        accountant.compose(dp_accounting.PoissonSampledDpEvent(rate, gaussian), number)
    return float(accountant.get_epsilon(delta))


@lru_cache(maxsize=4096)
def _zcdp_epsilon(total_rho: float, delta: float) -> float:
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(orders=_ZCDP_ORDERS)
    accountant.compose(dp_accounting.ZCDpEvent(total_rho))
    return float(accountant.get_epsilon(delta))


def _require_accountable(two_units: bool, method: str) -> None:
    if two_units:
        raise PrivacyError(
            "releases that protect examples and releases that protect clients cannot be added up to one "
            "epsilon; keep a ledger of its own for each unit (privacy.ledger)"
        )
    if method != "rdp":
        raise PrivacyError(
            "sums of discrete Gaussian shares have a published Renyi bound and no loss distribution, got "
            f"{method!r}; use accountant rdp"
        )


def _require_delta(delta: float) -> None:
    if type(delta) is bool or not SMALLEST_DELTA <= delta < 1:
        raise ConfigError(
            f"delta must lie between {SMALLEST_DELTA:g} and 1, got {delta!r}; "
            "choose one well below 1 / examples, 1e-5 to 1e-9 is usual",
            "privacy.delta",
        )
