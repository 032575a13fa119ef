"""A member's third step: check what the others shared, compute the vector, mask it.

    y = x + PRG(own seed) + sum over peers v of +-PRG(pair seed with v)      (mod 2^ring_bits)

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

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from securefl.crypto import AgreementKey, add_mask, derive, open_sealed
from securefl.encoding.packing import pack_in_place
from securefl.errors import PeerFault, PolicyError, ProtocolError
from securefl.secagg import transcript, tree
from securefl.secagg.codec import record_from_bytes
from securefl.secagg.draw import check_group
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
from securefl.secagg.policy import check_terms
from securefl.secagg.setup import hashes
from securefl.secagg.states import Finished, Holding, Masked, Shared, SharePair

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
        PeerFault: a dealer's signature, box or share is wrong.
        PolicyError: too few dealers are left, or a stranger is among them.
        ProtocolError: `contribute` gave no vector of the agreed shape.
    """
    terms = state.terms
    keys = transcript.keys_digest(transcript.context(terms), state.keys)
    publics = {reply.sender: reply for reply in state.keys}
    dealers = sorted([member.id, *(delivery.dealer for delivery in request.deliveries)])
    if len(set(dealers)) != len(dealers) or not set(dealers) <= set(publics):
        raise PolicyError(f"expected other members that advertised keys as dealers, got {dealers}; stop")
    if len(dealers) < terms.threshold:
        raise PolicyError(f"expected at least {terms.threshold} dealers, got {len(dealers)}; stop")
    roots, pairs = {member.id: state.own_root}, {member.id: state.own_pair}
    for delivery in request.deliveries:
        dealer = delivery.dealer
        roots[dealer], pairs[dealer] = _accept(member, state, keys, publics[dealer], delivery)
    session = transcript.session(keys, [(dealer, roots[dealer]) for dealer in dealers], request.model)
    # Everything that can fail comes before the contribution, which costs time and privacy budget.
    seeds = _mask_seeds(member, state, session, [publics[dealer] for dealer in dealers])
    words = _contribution(terms, contribute, request.model)
    for seed, sign in seeds:
        add_mask(words, seed, sign)
    holdings = tuple(Holding(dealer, pairs[dealer]) for dealer in dealers)
    return Masked(terms, session, holdings), MaskReply(member.id, *_signed(member, terms, session, words))


def send_plain(member: Member, request: PlainRequest, contribute: Contribute) -> tuple[Finished, PlainReply]:
    """The only step of an unmasked round.

    Raises:
        PolicyError: the member's policy has masking on, or the terms are not its own.
    """
    terms = request.terms
    if terms.masking:
        raise PolicyError("expected plain terms for a plain vector, got masked ones; discard the request")
    check_terms(member.policy, member.roster, member.id, terms)
    check_group(member, terms, request.evidence)
    session = transcript.plain_session(transcript.context(terms), request.model)
    words = _contribution(terms, contribute, request.model)
    return Finished(terms), PlainReply(member.id, *_signed(member, terms, session, words))


def ring_dtype(ring_bits: int) -> type[np.uint32] | type[np.uint64]:
    """The native word that a ring of so many bits wraps in."""
    return np.uint32 if ring_bits <= 32 else np.uint64


def _accept(
    member: Member, state: Shared, keys: bytes, dealer: AdvertiseReply, delivery: Delivery
) -> tuple[bytes, SharePair]:
    """The dealer's root and its shares for this holder, all checks done."""
    holders = [reply.sender for reply in state.keys]
    leaf = transcript.deal_leaf(keys, dealer.sender, _deal_of(delivery, member.id))
    root = tree.climb(leaf, holders.index(member.id), len(holders), delivery.path)
    message = transcript.root_message(keys, dealer.sender, root)
    transcript.check_signature(member.roster, dealer.sender, "share", message, delivery.signature)
    data = transcript.box_data(keys, dealer.sender, member.id)
    try:
        key = AgreementKey.from_bytes(state.channel_private).agree(dealer.channel_public, data)
        pair = record_from_bytes(SharePair, open_sealed(key, delivery.box, data))
    except ProtocolError as error:
        raise PeerFault(dealer.sender, f"its signed box for {member.id} does not open: {error}") from error
    if hashes(keys, dealer.sender, member.id, pair) != (delivery.key_hash, delivery.seed_hash):
        raise PeerFault(dealer.sender, f"its shares for {member.id} are not those of its signed hashes")
    return root, pair


def _deal_of(delivery: Delivery, holder: int) -> Deal:
    return Deal(holder, delivery.key_hash, delivery.seed_hash, delivery.box)


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
    member: Member, state: Shared, session: bytes, dealers: list[AdvertiseReply]
) -> list[tuple[bytes, int]]:
    """Seed and sign of the own mask and of the mask shared with every other dealer."""
    own = AgreementKey.from_bytes(state.mask_private)
    seeds = [(self_seed(state.seed, session, member.id), 1)]
    for peer in dealers:
        if peer.sender != member.id:
            seed = pair_seed(own, peer.mask_public, session, member.id, peer.sender)
            seeds.append((seed, pair_sign(member.id, peer.sender)))
    return seeds


def self_seed(seed: bytes, session: bytes, member: int) -> bytes:
    """The seed of a member's own mask in one session."""
    return derive(seed, transcript.self_label(session, member))


def pair_seed(key: AgreementKey, peer_public: bytes, session: bytes, member: int, peer: int) -> bytes:
    """The seed of the mask that two members share in one session; either mask key gives it."""
    return key.agree(peer_public, transcript.pair_label(session, member, peer))


def pair_sign(member: int, peer: int) -> int:
    """The sign with which `member` adds the mask that it shares with `peer`."""
    return 1 if member < peer else -1


def _signed(member: Member, terms: Terms, session: bytes, words: Words) -> tuple[bytes, bytes]:
    # Packed over the words, and hashed and sent from there: no second image of the vector.
    vector = cast(bytes, pack_in_place(words, terms.ring_bits))
    return vector, member.sign("vector", transcript.vector_message(session, member.id, vector))
