"""Noise shared among clients: what does it cost to have many small groups instead of one?

Every client adds a share of integer noise before its mask. The shares that a group is guaranteed to have
must be enough, so a small group asks more noise of each member. Here 60 clients with updates of zero play
one round in groups of several sizes through a run's own encoding: what remains in the mean of all groups is
the noise.
Epsilon is the same each time. Theory: the noise grows as sqrt(h_all / h), h the guaranteed honest shares.
"""

import math

import numpy as np

from securefl import config
from securefl.crypto import SystemRandomness
from securefl.guarantee.noisy_sum import noisy_sum

CLIENTS, DIM = 60, 20_000
SIZES = (60, 30, 12, 6)  # of which a sixth may vanish
CONFIG = """
version: 1
data: {kind: digits, partition: {kind: iid}}
clients: 60
model: {kind: linear}
training: {local_steps: 5, learning_rate: 0.5, sample_rate: 0.5, expected_batch: 12}
privacy: {unit: client, noise: distributed, epsilon: 8.0, delta: 1.0e-3}
secure_aggregation: {group_size: SIZE, threshold: KEPT, clip_norm: 0.5}
robust: {rule: mean, max_malicious: 0}
server: {rounds: 10}
"""


def planned(size):
    return config.parse(CONFIG.replace("SIZE", str(size)).replace("KEPT", str(size * 5 // 6)))


def noise_of_a_round(encoding, groups):
    """The mean of all groups' means when every update is zero and nobody vanishes."""
    source, means = SystemRandomness(), []
    for _ in range(groups):
        words = [encoding.encode(np.zeros(DIM), source.stream("noise")) for _ in range(CLIENTS // groups)]
        means.append(encoding.decode(sum(words[1:], words[0]), len(words))[0])
    return np.mean(means, axis=0)


plans = {size: planned(size) for size in SIZES}
most = plans[CLIENTS].honest_shares
print(f"{'group size':>10}{'groups':>8}{'h':>5}{'noise of the mean':>19}{'times one group':>17}{'theory':>8}")
measured = {}
for size, plan in plans.items():
    encoding, event = noisy_sum(plan, plan.privacy, DIM)
    measured[size] = noise_of_a_round(encoding, plan.groups).std()
    ratio, theory = measured[size] / measured[CLIENTS], math.sqrt(most / event.shares)
    print(f"{size:>10}{plan.groups:>8}{event.shares:>5}{measured[size]:>19.4f}{ratio:>17.2f}{theory:>8.2f}")
    # Two standard deviations of 20,000 samples each: their ratio deviates by 0.7 % of itself; six of these.
    assert abs(ratio / theory - 1) < 6 / math.sqrt(DIM)
assert measured[6] > 3 * measured[60]
print("The same epsilon for every client: what small groups add in robustness, they cost in noise.")
