"""Does one client's real release leak less than its accountant says, and would an audit notice a fault?

A client of a small federation releases its update again and again, with and without one example more.
Everything is the run's own: Poisson samples, clip, noise, encoding. A threshold on the releases gives a
lower bound on epsilon, at delta = 1e-5, for adding or removing one example. Then the same with noise that
is four times too small, which an honest accountant does not know of.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from securefl import config as configuration
from securefl.audit import Audit, audit, example_subject
from securefl.building import load_dataset
from securefl.crypto import SystemRandomness
from securefl.guarantee import Terms, settle
from securefl.training import limit_threads

CONFIG = Path(__file__).parent / "configs" / "quickstart.yaml"
DRAWS = 500
CONFIDENCE = 1 - 1e-6
TOO_SMALL = 0.25


def settled() -> Terms:
    config = configuration.load(
        CONFIG,
        overrides=[
            "server.rounds=1",
            "privacy.spare_releases=0",
            "secure_aggregation.epoch_rounds=1",
            "training={local_steps: 1, learning_rate: 1.5, sample_rate: 1.0, expected_batch: 120}",
        ],
    )
    return settle(config, load_dataset(config))


def faulty(terms: Terms) -> Terms:
    """The same terms with less noise in training. What is accounted is told apart, by the honest ones."""
    event = terms.budget.event
    return replace(
        terms,
        budget=replace(
            terms.budget, event=replace(event, noise_multiplier=TOO_SMALL * event.noise_multiplier)
        ),
    )


def audited(mechanism: Callable[[Terms], Terms]) -> Audit:
    """Draws from what `mechanism` makes of the terms; the claim is always that of the honest terms."""
    terms = settled()
    claim = example_subject(terms, SystemRandomness())
    real = example_subject(mechanism(terms), SystemRandomness())
    return audit(replace(claim, draw=real.draw), DRAWS, CONFIDENCE)


def main() -> None:
    limit_threads(1)
    honest, wrong = audited(lambda terms: terms), audited(faulty)
    print(f"{'noise':<14}{'audit: at least':>16}{'accountant: at most':>21}{'ceiling':>9}  refuted")
    for name, found in (("as accounted", honest), (f"x {TOO_SMALL}", wrong)):
        print(
            f"{name:<14}{found.lower.epsilon:>16.2f}{found.upper:>21.2f}{found.lower.ceiling:>9.2f}"
            f"  {'yes' if found.refuted else 'no'}"
        )
    print(f"\n{2 * DRAWS} draws each; a false alarm has probability 1e-6 at most")
    assert not honest.refuted, "the honest mechanism must stay below its accountant"
    # Over many audits the bound is 4.2, and six of its deviations below that 1.5.
    assert honest.lower.epsilon > 1.0, "the audit must see something, or it shows nothing"
    assert wrong.refuted, "noise four times too small must be noticed"


if __name__ == "__main__":
    main()
