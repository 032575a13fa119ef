"""Plain request: the server asks for the unmasked vector, as if the config had masking switched off.

It changes nothing else: terms, members and evidence of the draw are the true ones; the model is zeros.

Reference: Pasquini, Francati and Ateniese 2022 (a malicious server that has clients undo aggregation by
what it sends them).
"""

from __future__ import annotations

from dataclasses import replace

from securefl.attacks.capability import Capability
from securefl.attacks.spying.loot import Loot, Words, words_of
from securefl.attacks.spying.spy import Spy
from securefl.federation.broadcast import MODEL_DTYPE
from securefl.secagg import Step
from securefl.secagg.messages import AdvertiseRequest, Message, PlainReply, PlainRequest, from_bytes


def plain_request() -> Spy:
    """The attack."""

    def alter(message: Message, dim: int) -> Message:
        if not isinstance(message, AdvertiseRequest):
            return message
        model = bytes(dim * MODEL_DTYPE.itemsize)
        return PlainRequest(replace(message.terms, masking=0), message.evidence, model)

    needs = frozenset({Capability.SEES_WIRE, Capability.REPLACES_REQUESTS})
    return Spy("plain_request", needs, "vector", "Pasquini, Francati and Ateniese 2022", _read, alter)


def _read(loot: Loot) -> dict[int, Words]:
    return {
        client: words_of(group.terms, data)
        for group in loot.groups
        for client, data in group.replies.get(Step.MASK, {}).items()
        if isinstance(from_bytes(data), PlainReply)
    }
