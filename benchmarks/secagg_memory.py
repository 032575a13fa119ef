"""One client's mask step at a given size, alone in its process, as `make bench-secagg` starts it.

    python benchmarks/secagg_memory.py rss 100000000      peak resident bytes of the whole process
    python benchmarks/secagg_memory.py heap 10000000      peak heap bytes beyond the vector and its ring image

The real step: the request with the float32 model comes in, a float32 vector is made from it, encoded, masked
among ten members and packed, and the signed reply is bytes. Prints one JSON object.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import tracemalloc
from dataclasses import replace

import bench  # noqa: F401 - pins the numeric libraries before they are loaded
import numpy as np
import secagg_round

from securefl.encoding import FixedPoint
from securefl.secagg import Member, aggregate, respond, step_of
from securefl.secagg.messages import MaskRequest, from_bytes, to_bytes

MEMBERS, OURS = 10, 0


def main() -> None:
    """Measures and prints."""
    kind, dim = sys.argv[1], int(sys.argv[2])
    codec = FixedPoint(clip_norm=1.0, bits=16, dim=dim, members=MEMBERS)
    member, state, request = _before_the_vector(codec)

    def contribute(model: bytes, round: int) -> np.ndarray:
        update = np.frombuffer(model, dtype="<f4") + np.float32(1e-4)
        return codec.encode(update, secagg_round.SOURCE.stream("rounding"))

    if kind == "heap":
        tracemalloc.start()
    start = time.process_time()
    reply = respond(member, state, request, contribute).reply
    spent = time.process_time() - start
    beyond = tracemalloc.get_traced_memory()[1] - 2 * 4 * dim if kind == "heap" else None
    assert len(reply) > codec.wire_bytes
    assert "torch" not in sys.modules
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"cpu_seconds": spent, "peak_rss_bytes": peak, "heap_beyond_bytes": beyond}))


def _before_the_vector(codec: FixedPoint) -> tuple[Member, bytes, bytes]:
    """A member, its state, and a mask request that carries a model of float32 zeros."""
    people, plan = secagg_round.group(codec, MEMBERS)
    states: dict[int, bytes] = {}
    asked: list[bytes] = []

    def exchange(requests: dict[int, bytes]) -> dict[int, bytes]:
        if any(step_of(request).step.name == "MASK" for request in requests.values()):
            asked.append(requests[OURS])
            return {}
        replies = {}
        for client, request in requests.items():
            answer = respond(people[client], states.get(client), request, lambda model, round: model)
            states[client], replies[client] = answer.state, answer.reply
        return replies

    aggregate(plan, b"", exchange)  # ends at the vectors: nobody sends one
    message = from_bytes(asked[0])
    assert isinstance(message, MaskRequest)
    model = np.zeros(codec.dim, dtype="<f4").data.cast("B").toreadonly()
    return people[OURS], states[OURS], to_bytes(replace(message, model=model))


if __name__ == "__main__":
    main()
