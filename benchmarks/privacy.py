"""What differential privacy costs a client: time and memory of a step, the sampler and the accountant.

    make bench-privacy                everything (some minutes)
    make bench-privacy ARGS=--quick   one turn each: to see that it runs

A private step of this package's learner, with 256 examples, is held against two without privacy: that of the
same learner (the same draws, copies and float64 update), and `bare`, a plain torch loop with torch's own
optimizer, which does none of these. `hooks` is plain Opacus; see privacy_steps.py. The ways take turns in one
process with one thread, and a ratio is of the best CPU times. Memory is the peak of some steps in a process
of their own, less what is resident before.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable

import bench
import privacy_steps

from securefl.crypto import SystemRandomness
from securefl.privacy import DiscreteGaussian, SampledGaussian, epsilon, noise_multiplier_for

TURNS = {"lora": 3, "mlp": 25, "cnn": 7}
# The most that a private step may take of one without privacy.
GOALS = {"lora": 1.3, "mlp": 1.6, "cnn": 2.0}
ROUNDS, DELTA, RATE, LOCAL_STEPS = 1000, 1e-5, 0.05, 5
ACCOUNTANT_SECONDS = 1.0
SAMPLES, SAMPLER_SECONDS = 1_000_000, 0.5
SIGMAS = (0.5, 10.0, 1e3, 1e6)  # in steps; runs have tens to some ten thousands


def main() -> None:
    """Runs all parts, prints the tables, writes benchmarks/results/privacy.json."""
    quick = _options().quick
    repeats = 1 if quick else bench.REPEATS
    bench.finish_parts("privacy", [_steps(quick), _sampler(repeats), _accountant(repeats)])


def _steps(quick: bool) -> bench.Findings:
    found = bench.Findings()
    for model in GOALS:
        if model not in privacy_steps.models():
            found.notes.append(
                f"{model} was not run: peft and transformers come with `pip install securefl[bench]`"
            )
            continue
        works = {way: privacy_steps.steps(model, way) for way in privacy_steps.WAYS}
        seconds = best_in_turn(works, 1 if quick else TURNS[model])
        for way, words in (("plain", "the same learner's without"), ("bare", "a bare torch step")):
            name, value = f"{model}: private step", seconds["ours"] / seconds[way]
            found.checks.append(bench.at_most(name, value, GOALS[model], f"of {words}"))
        for way, value in seconds.items():
            memory = bench.alone("privacy_steps.py", model, way)["extra_bytes"]
            found.figures.append(
                {
                    "model": model,
                    "way": way,
                    "CPU ms/step": 1e3 * value / privacy_steps.STEPS,
                    "of plain": value / seconds["plain"],
                    "of bare": value / seconds["bare"],
                    "peak MiB": memory / 2**20,
                }
            )
    return found


def best_in_turn(works: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Best CPU seconds of each work, one call of each per turn, after one that loads what is loaded once."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _, (name, work) in itertools.product(range(turns), works.items()):
        times[name].append(bench.cpu_seconds(work))
    return {name: min(values) for name, values in times.items()}


def _sampler(repeats: int) -> bench.Findings:
    found, stream = bench.Findings(), SystemRandomness().stream("sampler")
    for sigma in SIGMAS:
        noise = DiscreteGaussian(sigma)
        seconds = bench.best_cpu_seconds(lambda noise=noise: noise.draw(stream, SAMPLES), repeats)
        name = f"sampler: {SAMPLES:,} discrete Gaussians of sigma {sigma:g}"
        found.checks.append(bench.at_most(name, seconds, SAMPLER_SECONDS, f"CPU s, best of {repeats}"))
    return found


def _accountant(repeats: int) -> bench.Findings:
    epsilon(((SampledGaussian(9.0, RATE, 1), 1),), DELTA)  # loads the library
    # Another noise each time, for results are kept.
    noises = itertools.count(1.0, 1e-6)

    def spent(method: str) -> float:
        return epsilon(((SampledGaussian(next(noises), RATE, LOCAL_STEPS), ROUNDS),), DELTA, method)

    found = bench.Findings()
    for method in ("pld", "rdp"):
        seconds = bench.best_cpu_seconds(lambda method=method: spent(method), repeats)
        name = f"accountant {method}: {ROUNDS:,} rounds of {LOCAL_STEPS} steps"
        found.checks.append(bench.at_most(name, seconds, ACCOUNTANT_SECONDS, f"CPU s, best of {repeats}"))
    solved = bench.cpu_seconds(lambda: noise_multiplier_for(8.0, DELTA, RATE, LOCAL_STEPS * ROUNDS))
    found.notes.append(
        f"solving for the noise of such a run at epsilon 8 takes {solved:.2f} CPU s, once per run"
    )
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one turn each")
    return parser.parse_args()


if __name__ == "__main__":
    main()
