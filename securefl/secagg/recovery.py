"""From opened shares to the masks that are still in a sum.

Rules kept here:
- An opened share is held against its dealer's signed hash: a mismatch is the holder's fault.
- A rebuilt secret is held against what its dealer advertised: since every share matched, a mismatch is
  the dealer's fault. There is no search over subsets of shares.
- A KEM half that does not match its commitment is its offerer's fault.
- Interpolation weights are computed once per set of holders: in a complete graph, once.

What this file does NOT do: decide whether enough holders are left (`server`).

Reference: Bonawitz et al. 2017, figure 4, round 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from securefl.crypto import KeyPair, combine_with, lagrange_at_zero
from securefl.errors import GroupAborted, PeerFault, ProtocolError
from securefl.secagg import transcript
from securefl.secagg.graph import graph_of
from securefl.secagg.masking import pair_seed, pair_sign, self_seed
from securefl.secagg.messages import KEY_KIND, SEED_KIND, AdvertiseReply, Terms, UnmaskReply
from securefl.secagg.offers import accept, offers_to, recover
from securefl.secagg.setup import key_pair, point
from securefl.secagg.stages import Confirming, keys_digest


def signed_hashes(state: Confirming) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    """(dealer, holder) -> signed hashes of its (key share, seed share)."""
    return {
        (reply.sender, deal.holder): (deal.key_hash, deal.seed_hash)
        for reply in state.shares
        for deal in reply.deals
    }


def check_openings(
    state: Confirming,
    keys: bytes,
    hashes: Mapping[tuple[int, int], tuple[bytes, bytes]],
    reply: UnmaskReply,
) -> None:
    """Return if a holder opened one share per dealer, of the right kind, as the dealer signed it.

    `keys` is the group's keys digest, `hashes` what `signed_hashes` gives: the same for every reply.

    Raises:
        ProtocolError: it opened something else; the holder is at fault.
    """
    holder = reply.sender
    held = set(graph_of(state.group.terms).holders(holder))
    if [opening.dealer for opening in reply.openings] != [one for one in state.dealers if one in held]:
        raise ProtocolError("expected one share of every dealer that it holds one of, got another list")
    survivors = set(state.survivors)
    for opening in reply.openings:
        dealer = opening.dealer
        kind = SEED_KIND if dealer in survivors else KEY_KIND
        key_hash, seed_hash = hashes[dealer, holder]
        signed = seed_hash if kind == SEED_KIND else key_hash
        found = transcript.share_hash(keys, opening.kind, dealer, holder, opening.salt, opening.share)
        if opening.kind != kind or found != signed:
            raise ProtocolError(f"opened another share of {dealer} than {dealer} signed")


def rebuild(state: Confirming, opened: Mapping[int, UnmaskReply]) -> dict[int, bytes]:
    """By dealer: a survivor's self-mask seed, a dropped member's mask secret.

    Raises:
        GroupAborted: fewer than t holders of a dealer opened their shares.
        PeerFault: a dealer's shares rebuild another secret than it advertised.
    """
    terms = state.group.terms
    graph, context = graph_of(terms), transcript.context(terms)
    shares = {
        holder: {opening.dealer: opening.share for opening in reply.openings}
        for holder, reply in opened.items()
    }
    weights = lru_cache(maxsize=4096)(_weights)
    advertised = {reply.sender: reply for reply in state.keys}
    secrets = {}
    for dealer in state.dealers:
        holders = tuple(sorted(shares.keys() & set(graph.holders(dealer))))[: terms.threshold]
        if len(holders) < terms.threshold:
            raise GroupAborted(
                f"group {terms.group} has no sum: expected {terms.threshold} holders of {dealer} that opened "
                f"their shares, got {len(holders)}"
            )
        given = [shares[holder][dealer] for holder in holders]
        secret = _combined(dealer, weights(terms, holders), given)
        _check_secret(state, context, advertised[dealer], secret)
        secrets[dealer] = secret
    return secrets


def _weights(terms: Terms, holders: tuple[int, ...]) -> list[int]:
    return lagrange_at_zero([point(terms, holder) for holder in holders])


def _combined(dealer: int, weights: list[int], shares: list[bytes]) -> bytes:
    try:
        return combine_with(weights, shares)
    except ProtocolError as error:
        raise PeerFault(dealer, f"dealt shares of no secret: {error}; no sum") from error


def _check_secret(state: Confirming, context: bytes, advertised: AdvertiseReply, secret: bytes) -> None:
    """Return if a rebuilt secret is the one that its dealer advertised."""
    dealer = advertised.sender
    if dealer in state.survivors:
        sound = transcript.seed_commitment(context, dealer, secret) == advertised.seed_commitment
    else:
        sound = key_pair(state.group.terms, secret).public == advertised.mask_public
    if not sound:
        raise PeerFault(dealer, "dealt shares of another secret than it advertised; no sum")


def masks_to_remove(state: Confirming, secrets: Mapping[int, bytes]) -> Iterator[tuple[bytes, int]]:
    """Seed and sign of every mask that is still in the total, the sign already turned."""
    survivors, graph = set(state.survivors), graph_of(state.group.terms)
    keys, publics = keys_digest(state.group, state.keys), {one.sender: one.mask_public for one in state.keys}
    offers = {(one.sender, deal.holder): deal.offer for one in state.shares for deal in one.deals}
    for dealer, secret in secrets.items():
        if dealer in survivors:
            yield self_seed(secret, state.session, dealer), -1
            continue
        key = key_pair(state.group.terms, secret)
        for survivor in sorted(survivors.intersection(graph.holders(dealer))):
            half = _half(state.group.terms, key, keys, offers, dealer, survivor)
            seed = pair_seed(key, publics[survivor], half, state.session, (dealer, survivor))
            yield seed, -pair_sign(survivor, dealer)


def _half(
    terms: Terms,
    key: KeyPair,
    keys: bytes,
    offers: Mapping[tuple[int, int], bytes],
    dropped: int,
    survivor: int,
) -> bytes:
    """The KEM half of the mask between a dropped dealer, whose key is rebuilt, and a survivor."""
    if offers_to(terms, dropped, survivor):
        return recover(key, keys, dropped, survivor, offers[dropped, survivor])
    if offers_to(terms, survivor, dropped):
        return accept(key, keys, survivor, dropped, offers[survivor, dropped])
    return b""
