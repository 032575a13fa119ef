"""What does a plan cost, and what is left of the budget in the ledger?

A data owner allows epsilon 8 at delta 1e-5 over everything that is ever trained on its data. Plans are priced
by the accountant that the run uses; then two runs charge one ledger, the second on top of the first, and a
third that no longer fits is refused before anything leaves. Epsilon is for adding or removing one training
example; runs add up because an example may sit at any client in the next run. Nothing is trained here.
Run: python examples/privacy_budget.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from securefl.errors import BudgetExceeded
from securefl.privacy import (
    Ledger,
    Release,
    SampledGaussian,
    budget_table,
    epsilon_by_source,
    expenses,
    noise_multiplier_for,
)

BUDGET, DELTA = 8.0, 1e-5
SAMPLE_RATE, LOCAL_STEPS = 0.05, 5
DATA = "5eed" * 16  # a run takes the hash of the data source
PLANS = {"first": 20, "second": 40}  # rounds by run
CLIENTS = 3


def print_prices() -> None:
    """Epsilon of some plans, before anything is trained or charged."""
    noises, rounds = (0.8, 1.2, 2.0), (20, 60, 200)
    rows = budget_table(noises, rounds, (SAMPLE_RATE,), local_steps=LOCAL_STEPS, delta=DELTA)
    price = {(row.noise_multiplier, row.rounds): row.epsilon for row in rows}
    print("epsilon  " + "  ".join(f"{number:4d} rounds" for number in rounds))
    for noise in noises:
        print(f"noise {noise:.1f}" + "  ".join(f"{price[noise, number]:11.2f}" for number in rounds))
    assert price[0.8, 60] > price[1.2, 60] > price[2.0, 60], "more noise must cost less"
    # Under composition of many small steps epsilon grows about as the square root of their number.
    assert price[2.0, 20] < price[2.0, 200] < 10 * price[2.0, 20], (
        "ten times the rounds cost less than ten times"
    )


def charge(ledger: Ledger, run: str, rounds: int, event: SampledGaussian) -> None:
    """What the clients of a run do: each is charged in each round, before its update leaves."""
    ledger.check_run(DATA, run, event, rounds, BUDGET, DELTA)
    for round in range(1, rounds + 1):
        with ledger.transaction():
            for client in range(CLIENTS):
                ledger.charge(Release(DATA, run, client, round, 0, event), BUDGET, DELTA)


def main() -> None:
    print_prices()
    # Noise for all that is planned together: sized for the first run alone, nothing would be left.
    steps = LOCAL_STEPS * sum(PLANS.values())
    event = SampledGaussian(noise_multiplier_for(BUDGET, DELTA, SAMPLE_RATE, steps), SAMPLE_RATE, LOCAL_STEPS)
    print(
        f"\nnoise {event.noise_multiplier:.3f} lasts for {sum(PLANS.values())} rounds at epsilon {BUDGET:g}\n"
    )
    print(f"{'run':>6}  {'releases':>8}  {'spent so far':>12}  {'left':>5}")
    spent, heads = [], []
    with TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger.sqlite") as ledger:
        for run, rounds in PLANS.items():
            charge(ledger, run, rounds, event)
            spent.append(epsilon_by_source(ledger, DELTA)[DATA])
            heads.append(ledger.head())
            count = expenses(ledger, DELTA)[-1].count
            print(f"{run:>6}  {count:8d}  {spent[-1]:12.2f}  {BUDGET - spent[-1]:5.2f}")
        try:
            charge(ledger, "third", 1, event)
        except BudgetExceeded as refusal:
            print(f" third  refused: {refusal}")
        else:
            raise AssertionError("the budget is spent, so one more round must be refused")
        ledger.verify(contains=heads[0])  # nothing was lost since the first run's head was kept
        assert ledger.head() == heads[-1], "a refused run charges nothing"
    assert spent[0] < spent[1] <= BUDGET
    assert BUDGET - spent[1] < 0.05, "the noise was sized for the whole budget"


if __name__ == "__main__":
    main()
