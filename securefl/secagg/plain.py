"""The server's side of an unmasked round: one exchange, the same ring vectors, the same outcome.

It exists for baselines without masking and to show that masks change nothing but who can read.

Rules kept here: members whose policy has masking on refuse the request, so a server cannot fall back
to this behind their backs. Vectors are signed and added up as they come, exactly as masked ones.

What this file does NOT do: hide anything from the server.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from securefl.encoding.packing import ring_dtype
from securefl.errors import GroupAborted
from securefl.secagg import transcript
from securefl.secagg.collect import collect
from securefl.secagg.messages import PlainReply, PlainRequest, to_bytes
from securefl.secagg.server import add_vector, reduce
from securefl.secagg.stages import Group, Summed


def plain_requests(group: Group) -> dict[int, bytes]:
    """The one request of an unmasked round, for every member."""
    return dict.fromkeys(
        group.terms.members, to_bytes(PlainRequest(group.terms, group.evidence, group.model))
    )


def receive_plain(group: Group, replies: Mapping[int, bytes]) -> Summed:
    """The sum of the vectors that came.

    Raises:
        GroupAborted: nobody sent a sound vector.
    """
    terms = group.terms
    session = transcript.plain_session(transcript.context(terms), group.model)
    total = np.zeros(terms.length, dtype=ring_dtype(terms.ring_bits))
    vectors, blame = collect(
        replies,
        terms.members,
        PlainReply,
        lambda reply: add_vector(group.roster, terms, session, reply, total),
    )
    if not vectors:
        raise GroupAborted(f"group {terms.group} has no sum: nobody of {len(terms.members)} sent a vector")
    return Summed(group, blame, tuple(vectors), reduce(total, terms.ring_bits))
