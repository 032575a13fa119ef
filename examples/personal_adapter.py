"""Who gains from a second adapter that is all one's own, and does any of it cross the wire?

Six travellers train an adapter of a language model together, with privacy for each conversation. They agree
on some answers (when is it open) and not on others (which seat is mine). Ditto gives each a second adapter,
pulled to the shared one, that stays at home. Both are scored on what each client held out.

The wire: two worlds that differ in every personal adapter alone, on replayed randomness, send the same bytes.
Texts are synthetic and the base is a tiny random Llama: this is about adapters, not about language models.
"""

import numpy as np

from securefl import build_federated_averaging
from securefl import config as configuration
from securefl.comparison import compare
from securefl.crypto import SeededRandomness
from securefl.data.answers import Answered, dataset_of_answers
from securefl.federation.personal import write
from securefl.training import limit_threads, model_tokens

SEATS, TALKS = "ABCDEF", 12
# Half of what is held out asks for a seat: one model for all has one letter of six right, and the end mark.
CEILING = (1 + (1 / len(SEATS) + 1) / 2) / 2
CONFIG = """
version: 1
seed: 3
data: {kind: jsonl, path: made-below, partition: {kind: column}}
clients: 6
model: {kind: transformer, path: tiny-llama, max_tokens: 40, lora: {rank: 4, alpha: 64, targets: [down_proj]}}
training: {local_steps: 8, learning_rate: 1.0, sample_rate: 0.5, expected_batch: 8}
privacy: {unit: example, epsilon: 8.0, delta: 1.0e-3, clip_norm: 1.0, spare_releases: 0}
secure_aggregation: {group_size: 6, threshold: 4, clip_norm: 5.0, bits: 16, epoch_rounds: 10}
robust: {rule: mean, max_malicious: 0}
server: {rounds: 3}
personalisation: {kind: ditto, local_steps: 40, learning_rate: 1.0, pull: 0.01, held_out: 0.3}
"""


def talks(first, count):
    """Per client, questions with an answer of its own and questions with everybody's."""
    for seat in SEATS:
        for trip in range(first, first + count):
            yield Answered((("user", f"my seat on trip {trip}?"),), seat, f"client {seat}")
            yield Answered((("user", f"open at {trip}?"),), "yes", f"client {seat}")


class Tapped:
    """A client, whose replies are written down."""

    def __init__(self, party, said):
        self.id, self.party, self.said = party.id, party, said

    def prepare(self, request):
        prepared = self.party.prepare(request)
        self.said.append(prepared.reply)
        return prepared


def world(data, begun):
    """What a round sends where personal adapters begin `begun` away from the shared one, and what is kept."""
    config, said = configuration.parse(CONFIG, ["personalisation.local_steps=1"]), []
    source = SeededRandomness(b"personal")

    def clients(honest):
        return {id: Tapped(one, said) for id, one in honest.items()}

    with build_federated_averaging(config, clients, dataset=data, randomness=source, run="one") as process:
        state = process.initialize()
        for own in process.personal.values():
            write(own.path, own.run, 0, state.model, state.model + np.float32(begun))
        state, _ = process.next(state)
        return said, [own.beside(state.model) for own in process.personal.values()]


limit_threads(1)
tokens = model_tokens("tiny-llama", None, 40)
data = dataset_of_answers("seats", [*talks(0, TALKS)], [*talks(90, 2)], tokens, "synthetic")
with build_federated_averaging(configuration.parse(CONFIG), dataset=data) as process:
    state = process.initialize()
    while not process.finished(state):
        state, _ = process.next(state)
    found, spent = compare(process, state), process.epsilon()
print(f"{'':12}{'shared':>8}{'personal':>10}   tokens of the answer that are right, held out")
pairs = zip(found["shared"]["clients"], found["personal"]["clients"], strict=True)
rows = {f"client {seat}": pair for seat, pair in zip(SEATS, pairs, strict=True)}
for name in ("mean", "worst_tenth"):
    rows[name.replace("_", " ")] = found["shared"][name], found["personal"][name]
for name, (shared, personal) in rows.items():
    print(f"{name:12}{shared:8.2f}{personal:10.2f}")
print(f"the most that one model for all could reach: {CEILING:.2f}; clients that lose: {found['loses']:.0%}")
print(f"epsilon of the shared adapter: {spent:.2f} at delta 0.001, for one conversation")

one, other = world(data, 0.0), world(data, 3.0)
print(f"{len(one[0])} messages, {sum(map(len, one[0])):,} bytes: equal in both worlds: {one[0] == other[0]}")

# In 12 runs the mean of personal models was .885, standard deviation .016: 5.8 of them above, 4e-9.
assert found["personal"]["mean"] > CEILING >= found["shared"]["mean"]
assert spent <= 8.0
assert one[0] == other[0] and len(one[0]) > 3 * len(SEATS)
assert not any(np.array_equal(mine, yours) for mine, yours in zip(one[1], other[1], strict=True))
