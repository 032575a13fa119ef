"""Can a server add up ten secret numbers although three parties vanish, and see none of them?

Run it: python examples/secure_sum.py
"""

import numpy as np

from securefl.crypto import Identity, SystemRandomness
from securefl.secagg import Member, Policy, Roster, RoundPlan, Step, aggregate, respond, step_of
from securefl.secagg.messages import UnmaskReply, from_bytes

PARTIES, THRESHOLD, RING_BITS = 10, 6, 32
SECRETS = {party: np.array([1000 + party, party * party], dtype=np.uint32) for party in range(PARTIES)}
VANISH = {2: Step.SHARE, 5: Step.MASK, 8: Step.CONFIRM}  # party -> the first step that it misses
TASK, CONFIG = b"a sum of secret salaries".ljust(32), bytes(32)

# Enrolment: an operator, who is not the server, signs the list of identities; everybody pins its key.
source = SystemRandomness()
operator = Identity.generate(source.stream("operator"))
identities = {party: Identity.generate(source.stream("identity", party)) for party in range(PARTIES)}
roster = Roster.sign(operator, {party: identity.public for party, identity in identities.items()})
policy = Policy(
    task=TASK,
    config=CONFIG,
    authority=operator.public,
    length=2,
    ring_bits=RING_BITS,
    threshold_min=THRESHOLD,
    group_min=PARTIES,
    colluding=0,
    epoch_rounds=None,  # one group of everybody: nothing to draw
)
members = {party: Member(party, identities[party], roster, policy, source) for party in range(PARTIES)}
states: dict[int, bytes] = {}
seen: list[tuple[Step, int, bytes]] = []  # everything that the server receives


def exchange(requests: dict[int, bytes]) -> dict[int, bytes]:
    """The network: it loses what is meant for parties that have vanished, and the server reads along."""
    replies = {}
    for party, request in requests.items():
        step = step_of(request).step
        if party in VANISH and step >= VANISH[party]:
            continue
        mine = SECRETS[party].copy()  # handed over: it is masked in place
        answer = respond(members[party], states.get(party), request, lambda model, round, mine=mine: mine)
        states[party], replies[party] = answer.state, answer.reply
        seen.append((step, party, answer.reply))
    return replies


plan = RoundPlan(
    task=TASK,
    config=CONFIG,
    roster=roster,
    round=1,
    attempt=0,
    groups=(tuple(range(PARTIES)),),
    group_seed=bytes(32),
    threshold=THRESHOLD,
    colluding=0,
    length=2,
    ring_bits=RING_BITS,
    masking=True,
)
(outcome,) = aggregate(plan, b"no model in this example", exchange)

print("What the server saw of each party's two secret numbers:")
for step, party, reply in seen:
    if step == Step.MASK:
        print(f"  party {party}: {np.frombuffer(from_bytes(reply).vector, dtype='<u4')}")
print(
    "Shares that were opened at the end, per party (1: of its own mask, 2: of its key, because it vanished):"
)
opened = [message for _, _, reply in seen if isinstance(message := from_bytes(reply), UnmaskReply)]
kinds = {party: {o.kind for m in opened for o in m.openings if o.dealer == party} for party in range(PARTIES)}
print(f"  {kinds}")
print(f"Survivors {outcome.survivors}, sum {outcome.total}")

survivors = [party for party in range(PARTIES) if party not in (2, 5)]  # 8 vanished after its vector was in
assert outcome.survivors == tuple(survivors)
assert outcome.total is not None
assert outcome.total.tolist() == sum(SECRETS[party] for party in survivors).tolist()
assert all(len(kind) <= 1 for kind in kinds.values())
assert not any(SECRETS[party].tobytes() in reply for _, party, reply in seen)
print("The sum is exact, and no party's numbers reached the server.")
