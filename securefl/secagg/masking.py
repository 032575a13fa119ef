"""A member's third step: check what the others shared, compute the vector, mask it.

    y = x + PRG(own seed) + sum over dealing neighbours v of +-PRG(pair seed with v)      (mod 2^ring_bits)

Rules kept here:
- Every box is opened and both its shares are held against the dealer's signed hashes BEFORE the vector
  is computed; a bad one stops the member with nothing sent.
- All masks are derived under the session digest, which holds the model's hash and the list of dealers:
  members with different models or lists have masks that do not cancel and signatures that do not agree.
- The vector exists here only between `contribute` and the masks, in one array that is masked in place.

What this file does NOT do: clip, encode or charge; `contribute` does.

Reference: Bonawitz et al. 2017, figure 4, round 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from securefl.crypto import KeyPair, add_masks, derive
from securefl.encoding.packing import pack_in_place, ring_dtype
from securefl.errors import PeerFault, PolicyError, ProtocolError
from securefl.secagg import transcript, tree
from securefl.secagg.boxes import open_box
from securefl.secagg.draw import check_group
from securefl.secagg.graph import graph_of
from securefl.secagg.member import Member
from securefl.secagg.messages import (
    AdvertiseReply,
    Deal,
    Delivery,
    MaskReply,
    MaskRequest,
    PlainReply,
    PlainRequest,
    Terms,
)
from securefl.secagg.offers import accept, offers_to
from securefl.secagg.policy import check_terms
from securefl.secagg.setup import hashes, key_pair, root_around
from securefl.secagg.states import Finished, Holding, Masked, Revealed, Shared, SharePair

Words = NDArray[np.unsignedinteger]
Contribute = Callable[[bytes, int], Words]
"""(model bytes, round) -> ring words. It may take long, and it may raise: then nothing was revealed.

The array is handed over: it is masked and packed in place, so that a member holds one ring image and no
copy of it. Whoever wants to keep the words returns a copy, or an array that is not writable. The model is
a view into the request where the codec reads it as one: copy what shall outlive the step."""


def mask(
    member: Member, state: Shared, request: MaskRequest, contribute: Contribute
) -> tuple[Masked, MaskReply]:
    """Step 3: the masked vector.

    Raises:
        PeerFault: a dealer's signature, box, share or offer is wrong.
        PolicyError: too few dealers are left, or a stranger is among them.
        ProtocolError: `contribute` gave no vector of the agreed shape.
    """
    terms = state.terms
    keys = transcript.keys_digest(transcript.context(terms), state.keys_root)
    dealers = _dealers(member, state, request)
    roots, holdings = {member.id: state.own_root}, list(state.own)
    channel = key_pair(terms, state.channel_private)
    for delivery in request.deliveries:
        root, pair = _accept(member, state, keys, channel, dealers[delivery.dealer], delivery)
        roots[delivery.dealer] = root
        holdings.append(Holding(delivery.dealer, pair))
    dealers_root = root_around(
        member, terms, lambda one: transcript.dealer_leaf(keys, one, roots.get(one)), request.proof
    )
    session = transcript.session(keys, dealers_root, request.model)
    # Everything that can fail comes before the contribution, which costs time and privacy budget.
    seeds = _mask_seeds(member, state, keys, session, dealers, request.deliveries)
    words = _contribution(terms, contribute, request.model)
    add_masks(words, seeds)
    kept = tuple(sorted(holdings, key=lambda holding: holding.dealer))
    return Masked(terms, session, kept), MaskReply(member.id, *_signed(member, terms, session, words))


def send_plain(
    member: Member, drawn: Revealed | None, request: PlainRequest, contribute: Contribute
) -> tuple[Finished, PlainReply]:
    """The only step of an unmasked round.

    Raises:
        PolicyError: the member's policy has masking on, or the terms are not its own.
    """
    terms = request.terms
    if terms.masking:
        raise PolicyError("expected plain terms for a plain vector, got masked ones; discard the request")
    check_terms(member.policy, member.roster, member.id, terms)
    check_group(member, drawn, terms, request.evidence)
    session = transcript.plain_session(transcript.context(terms), request.model)
    words = _contribution(terms, contribute, request.model)
    return Finished(terms), PlainReply(member.id, *_signed(member, terms, session, words))


def _dealers(member: Member, state: Shared, request: MaskRequest) -> dict[int, AdvertiseReply]:
    """The key messages of the other dealers, by id."""
    graph, keys = graph_of(state.terms), {reply.sender: reply for reply in state.keys}
    dealers = [delivery.dealer for delivery in request.deliveries]
    near = set(graph.holders(member.id))
    if member.id in dealers or not set(dealers) <= set(keys) & near:
        raise PolicyError(f"expected neighbours that advertised keys as dealers, got {dealers}; stop")
    left = {*dealers, member.id} & near
    if len(left) < state.terms.threshold:
        raise PolicyError(f"expected at least {state.terms.threshold} dealers, got {len(left)}; stop")
    return {dealer: keys[dealer] for dealer in dealers}


def _accept(
    member: Member, state: Shared, keys: bytes, channel: KeyPair, dealer: AdvertiseReply, delivery: Delivery
) -> tuple[bytes, SharePair]:
    """The dealer's root and its shares for this holder, all checks done."""
    holders = graph_of(state.terms).holders(dealer.sender)
    deal = Deal(member.id, delivery.key_hash, delivery.seed_hash, delivery.box, delivery.offer)
    leaf = transcript.deal_leaf(keys, dealer.sender, member.id, deal)
    root = tree.climb({holders.index(member.id): leaf}, len(holders), delivery.proof)
    message = transcript.root_message(keys, dealer.sender, root)
    transcript.check_signature(member.roster, dealer.sender, "share", message, delivery.signature)
    pair = open_box(channel, keys, dealer, member.id, delivery.box)
    if hashes(keys, dealer.sender, member.id, pair) != (delivery.key_hash, delivery.seed_hash):
        raise PeerFault(dealer.sender, f"its shares for {member.id} are not those of its signed hashes")
    return root, pair


def _contribution(terms: Terms, contribute: Contribute, model: bytes) -> Words:
    given = contribute(model, terms.round)
    dtype = ring_dtype(terms.ring_bits)
    if given.dtype != dtype or given.shape != (terms.length,):
        raise ProtocolError(
            f"expected a contribution of {terms.length} words of {np.dtype(dtype)}, got {given.shape} of "
            f"{given.dtype}; encode for the ring of the round"
        )
    # The array is ours now (see `Contribute`); only one that cannot be masked in place is copied.
    return np.require(given, requirements=("C", "W"))


def _mask_seeds(
    member: Member,
    state: Shared,
    keys: bytes,
    session: bytes,
    dealers: Mapping[int, AdvertiseReply],
    deliveries: tuple[Delivery, ...],
) -> list[tuple[bytes, int]]:
    """Seed and sign of the own mask and of the mask shared with every other dealer."""
    own = key_pair(state.terms, state.mask_private)
    halves = {made.peer: made.secret for made in state.pair_secrets}
    seeds = [(self_seed(state.seed, session, member.id), 1)]
    for delivery in deliveries:
        peer, half = delivery.dealer, halves.get(delivery.dealer, b"")
        if offers_to(state.terms, peer, member.id):
            half = accept(own, keys, peer, member.id, delivery.offer)
        seed = pair_seed(own, dealers[peer].mask_public, half, session, (member.id, peer))
        seeds.append((seed, pair_sign(member.id, peer)))
    return seeds


def self_seed(seed: bytes, session: bytes, member: int) -> bytes:
    """The seed of a member's own mask in one session."""
    return derive(seed, transcript.self_label(session, member))


def pair_seed(key: KeyPair, peer_public: bytes, half: bytes, session: bytes, pair: tuple[int, int]) -> bytes:
    """The seed of the mask that a pair shares in one session; either mask key gives it.

    `half` is the KEM half of a hybrid pair, else empty.
    """
    return key.agree(peer_public, transcript.pair_label(session, *pair), half)


def pair_sign(member: int, peer: int) -> int:
    """The sign with which `member` adds the mask that it shares with `peer`."""
    return 1 if member < peer else -1


def _signed(member: Member, terms: Terms, session: bytes, words: Words) -> tuple[bytes, bytes]:
    # Packed over the words, and hashed and sent from there: no second image of the vector.
    vector = cast(bytes, pack_in_place(words, terms.ring_bits))
    return vector, member.sign("vector", transcript.vector_message(session, member.id, vector))
