"""Can I drive a whole private federation from Python, round by round?

Twelve clients train on handwritten digits with local DP-SGD, masked updates and a trimmed mean: the
configuration of `examples/configs/quickstart.yaml`, here with fewer rounds. Run it with no arguments.
"""

from pathlib import Path

import securefl
from securefl import config as configuration

ROUNDS = 12
CONFIG = Path(__file__).parent / "configs" / "quickstart.yaml"


def main() -> None:
    config = configuration.load(CONFIG, overrides=[f"server.rounds={ROUNDS}"])
    with securefl.build_federated_averaging(config) as process:
        state = process.initialize()
        before = process.evaluate(state).accuracy
        print(f"{'round':>5}  {'status':<9}  {'groups':>6}  {'dropped':>7}  {'accuracy':>8}  {'epsilon':>7}")
        while not process.finished(state):
            state, metrics = process.next(state)
            record = metrics.record
            print(
                f"{record.round:>5}  {record.status:<9}  {record.rows_used:>6}  {len(record.dropped):>7}  "
                f"{metrics.test_accuracy:>8.3f}  {metrics.epsilon or 0.0:>7.3f}"
            )
        after = process.evaluate(state).accuracy
        spent = process.epsilon()
    print(f"\nTest accuracy {before:.3f} -> {after:.3f}; each client spent at most epsilon = {spent:.3f}")
    print(f"at delta = {config.privacy.delta:g}, unit: one training example, add-or-remove, Poisson, PLD.")
    assert after > before + 0.3, "the federation should have learned the digits"
    assert spent is not None and spent <= config.privacy.epsilon, "no client may pass its budget"


if __name__ == "__main__":
    main()
