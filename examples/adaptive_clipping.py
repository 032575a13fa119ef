"""Which clip for whole clients' updates, if nobody may look at their norms?

A clip that is far too small throws the updates away, one that is far too large drowns them in noise, for the
noise is a part of the clip. An adaptive clip starts anywhere and follows the median of the norms, which one
noisy bit per client tells in the very sum that carries the updates; epsilon is the same. 60 clients train a
linear model on digits at epsilon 8 for whole clients: with a tuned clip, and from 30 times below and above.
The contributions, sums and server steps are a run's own, played without the wire.
"""

from dataclasses import replace

from securefl import config
from securefl.attacks.open_rounds import dealt, open_round, open_state
from securefl.building import build_learner, build_setting, load_dataset, local_update
from securefl.crypto import SystemRandomness
from securefl.federation import Stopwatch
from securefl.federation.enrolment import enrol
from securefl.guarantee import settle
from securefl.guarantee.noisy_sum import noisy_sum
from securefl.privacy import epsilon
from securefl.training import limit_threads

CLIENTS, TUNED, FAR = 60, 1.0, 30.0
ADAPTIVE = "privacy.adaptive_clip={quantile: 0.5, learning_rate: 1.5, bit_share: 0.3}"
CONFIG = """
version: 1
seed: 3
data: {kind: digits, partition: {kind: iid}}
clients: 60
model: {kind: linear}
training: {local_steps: 4, learning_rate: 1.0, sample_rate: 0.5, expected_batch: 12}
privacy: {unit: client, noise: distributed, epsilon: 8.0, delta: 1.0e-3, spare_releases: 0}
secure_aggregation: {group_size: 60, threshold: 50, clip_norm: 1.0}
robust: {rule: mean, max_malicious: 0}
server: {rounds: 20}
"""


def trained(terms, clip, *more):
    """Test accuracy, epsilon, and the clip of each round."""
    plan = config.parse(CONFIG, [f"secure_aggregation.clip_norm={clip}", *more])
    encoding, event = noisy_sum(plan, plan.privacy, terms.dim)
    terms, source, clips = replace(terms, config=plan, encoding=encoding), SystemRandomness(), []
    learner, initial = build_learner(terms)
    setting = build_setting(terms, enrol(CLIENTS, source).roster, "adaptive clipping", source)
    clients = {id: local_update(terms, id, source, learner, Stopwatch()) for id in range(CLIENTS)}
    state = open_state(setting, initial, dealt(CLIENTS, plan.groups))
    for _ in range(plan.server.rounds):
        clips.append(state.clip or clip)
        state, done = open_round(setting, state, clients)
        assert done
    spent = epsilon(((event, plan.server.rounds),), plan.privacy.delta, "rdp")
    return learner.evaluate(state.model, terms.dataset.test).accuracy, spent, clips


limit_threads(1)
settled = settle(config.parse(CONFIG), load_dataset(config.parse(CONFIG)))
print(f"{'first clip':>10}  {'':8}{'accuracy':>9}{'epsilon':>9}  clip of rounds 5, 10 and 20")
found = {}
for name, clip in {"tuned": TUNED, "small": TUNED / FAR, "large": TUNED * FAR}.items():
    for kind, more in {"fixed": (), "adaptive": (ADAPTIVE,)}.items():
        if (name, kind) == ("tuned", "adaptive"):
            continue
        accuracy, spent, clips = trained(settled, clip, *more)
        found[name, kind] = accuracy
        shown = ", ".join(f"{clips[round - 1]:.3g}" for round in (5, 10, 20))
        print(f"{clip:10.3g}  {kind:8}{accuracy:9.3f}{spent:9.2f}  {shown}")
        assert spent <= 8.0

# The test set has 360 digits, one standard error is at most 2.6 points; the margins leave more than six.
assert found["tuned", "fixed"] - found["small", "adaptive"] < 0.15
assert found["small", "adaptive"] - found["small", "fixed"] > 0.3
assert found["large", "adaptive"] - found["large", "fixed"] > 0.1
print("From below nothing is lost on the way; from above, noise of the first rounds stays in the model.")
