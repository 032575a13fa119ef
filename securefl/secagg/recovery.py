"""From opened shares to the masks that are still in a sum.

Rules kept here:
- An opened share is held against its dealer's signed hash: a mismatch is the holder's fault.
- A rebuilt secret is held against what its dealer advertised: since every share matched, a mismatch is
  the dealer's fault. There is no search over subsets of shares.
- The interpolation weights are computed once for all dealers: they have the same holders.

What this file does NOT do: decide whether enough holders are left (`server`).

Reference: Bonawitz et al. 2017, figure 4, round 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from securefl.crypto import AgreementKey, combine_with, lagrange_at_zero
from securefl.errors import PeerFault, ProtocolError
from securefl.secagg import transcript
from securefl.secagg.masking import pair_seed, pair_sign, self_seed
from securefl.secagg.messages import KEY_KIND, SEED_KIND, Opening, UnmaskReply
from securefl.secagg.setup import point
from securefl.secagg.stages import Confirming, keys_digest


def signed_hashes(state: Confirming) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    """(dealer, holder) -> signed hashes of its (key share, seed share)."""
    return {
        (reply.sender, deal.holder): (deal.key_hash, deal.seed_hash)
        for reply in state.shares
        for deal in reply.deals
    }


def check_openings(
    state: Confirming, hashes: Mapping[tuple[int, int], tuple[bytes, bytes]], reply: UnmaskReply
) -> None:
    """Return if a holder opened one share per dealer, of the right kind, as the dealer signed it.

    Raises:
        ProtocolError: it opened something else; the holder is at fault.
    """
    if [opening.dealer for opening in reply.openings] != [dealt.sender for dealt in state.shares]:
        raise ProtocolError("expected one share of every dealer, got another list")
    keys, holder = keys_digest(state.group, state.keys), reply.sender
    for opening in reply.openings:
        dealer = opening.dealer
        kind = SEED_KIND if dealer in state.survivors else KEY_KIND
        key_hash, seed_hash = hashes[dealer, holder]
        signed = seed_hash if kind == SEED_KIND else key_hash
        found = transcript.share_hash(keys, opening.kind, dealer, holder, opening.salt, opening.share)
        if opening.kind != kind or found != signed:
            raise ProtocolError(f"opened another share of {dealer} than {dealer} signed")


def rebuild(state: Confirming, opened: Mapping[int, UnmaskReply]) -> dict[int, bytes]:
    """By dealer: a survivor's self-mask seed, a dropped member's private mask key.

    Raises:
        PeerFault: a dealer's shares rebuild another secret than it advertised.
    """
    terms = state.group.terms
    holders = sorted(opened)[: terms.threshold]
    weights = lagrange_at_zero([point(terms, holder) for holder in holders])
    columns = zip(*(opened[holder].openings for holder in holders), strict=True)
    return {column[0].dealer: _secret(state, weights, column) for column in columns}


def _secret(state: Confirming, weights: list[int], openings: tuple[Opening, ...]) -> bytes:
    """One dealer's secret, checked against what it advertised."""
    dealer = openings[0].dealer
    advertised = next(reply for reply in state.keys if reply.sender == dealer)
    try:
        secret = combine_with(weights, [opening.share for opening in openings])
    except ProtocolError as error:
        raise PeerFault(dealer, f"dealt shares of no secret: {error}; no sum") from error
    if dealer in state.survivors:
        context = transcript.context(state.group.terms)
        sound = transcript.seed_commitment(context, dealer, secret) == advertised.seed_commitment
    else:
        sound = AgreementKey.from_bytes(secret).public == advertised.mask_public
    if not sound:
        raise PeerFault(dealer, "dealt shares of another secret than it advertised; no sum")
    return secret


def masks_to_remove(state: Confirming, secrets: Mapping[int, bytes]) -> Iterator[tuple[bytes, int]]:
    """Seed and sign of every mask that is still in the total, the sign already turned."""
    publics = {reply.sender: reply.mask_public for reply in state.keys}
    for dealer, secret in secrets.items():
        if dealer in state.survivors:
            yield self_seed(secret, state.session, dealer), -1
            continue
        key = AgreementKey.from_bytes(secret)
        for survivor in state.survivors:
            seed = pair_seed(key, publics[survivor], state.session, dealer, survivor)
            yield seed, -pair_sign(survivor, dealer)
