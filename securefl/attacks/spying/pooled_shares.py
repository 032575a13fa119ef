"""Pooling: the server and the members it runs put everything together and take the masks off a vector.

    y = x + PRG(b) + sum over dealing neighbours j of +-PRG(s_j)

The server reads y and learns the seed behind b from the shares that every survivor opens. What is left is
each s_j: it follows from the victim's mask key (t shares of it, `pooled_shares`) or from j's own mask key,
which j has if it colludes (`pooled_keys`).

Rules kept here: nothing is searched; a vector counts only if every mask of it is known.

Reference: Bonawitz et al. 2017, section 6 (what collusion up to t may not show); Bell et al. 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from securefl.attacks.capability import Capability
from securefl.attacks.spying.loot import Loot, Words, words_of
from securefl.attacks.spying.spy import Spy
from securefl.attacks.spying.tape import GroupTape
from securefl.crypto import KeyPair, add_masks, combine_with, lagrange_at_zero
from securefl.secagg import Step
from securefl.secagg.graph import graph_of
from securefl.secagg.masking import pair_seed, pair_sign, self_seed
from securefl.secagg.messages import KEY_KIND, SEED_KIND, Terms, UnmaskReply, from_bytes
from securefl.secagg.offers import accept, offers_to, recover
from securefl.secagg.setup import key_pair, point
from securefl.secagg.stages import Confirming, keys_digest
from securefl.secagg.states import Masked, Shared

_NEEDS = frozenset({Capability.SEES_WIRE, Capability.SEES_MEMBER_STATES})
_SOURCE = "Bonawitz et al. 2017, section 6; Bell et al. 2020"
Shares = dict[tuple[int, int], dict[int, bytes]]
"""(dealer, kind) -> holder -> share."""


def pooled_shares() -> Spy:
    """Rebuilds the victims' mask keys and seeds from opened and pooled shares."""
    return Spy("pooled_shares", _NEEDS, "vector", _SOURCE, lambda loot: _everywhere(loot, _rebuilt_keys))


def pooled_keys() -> Spy:
    """Takes off the masks that the colluders themselves share with a victim."""
    return Spy("pooled_keys", _NEEDS, "vector", _SOURCE, lambda loot: _everywhere(loot, _own_keys))


Keys = Callable[[GroupTape, Shares], Mapping[int, KeyPair]]


def _everywhere(loot: Loot, keys: Keys) -> dict[int, Words]:
    found: dict[int, Words] = {}
    for group in loot.groups:
        stages = loot.replayed(group) if group.terms.masking else None
        if stages is not None:
            found |= _recovered(loot, group, stages[0], keys)
    return found


def _recovered(loot: Loot, group: GroupTape, confirming: Confirming, keys_of: Keys) -> dict[int, Words]:
    shares = _shares(group)
    seeds = _rebuilt(group.terms, shares, SEED_KIND)
    known = _Known(confirming, keys_digest(confirming.group, confirming.keys), keys_of(group, shares))
    found = {}
    for client, data in group.replies.get(Step.MASK, {}).items():
        pairs = dict(known.pairs(client)) if client in seeds and client not in loot.colluders else {}
        if pairs.keys() >= known.peers(client) and client in seeds and client not in loot.colluders:
            own = self_seed(seeds[client], confirming.session, client)
            words = words_of(group.terms, data)
            masks = [(own, -1), *((seed, -pair_sign(client, peer)) for peer, seed in pairs.items())]
            add_masks(words, masks)
            found[client] = words & words.dtype.type((1 << group.terms.ring_bits) - 1)
    return found


@dataclass(frozen=True)
class _Known:
    """The mask keys that the adversary has, in one group."""

    confirming: Confirming
    digest: bytes
    keys: Mapping[int, KeyPair]

    def peers(self, client: int) -> set[int]:
        """Whose masks are in the vector of `client`."""
        holders = graph_of(self.confirming.group.terms).holders(client)
        return set(holders).intersection(self.confirming.dealers) - {client}

    def pairs(self, client: int) -> Iterator[tuple[int, bytes]]:
        """(peer, seed of the mask) for every pair of which one key is known."""
        publics = {one.sender: one.mask_public for one in self.confirming.keys}
        for peer in self.peers(client):
            for mine, other in ((client, peer), (peer, client)):
                if mine in self.keys:
                    key, half = self.keys[mine], self._half(mine, other)
                    yield peer, pair_seed(key, publics[other], half, self.confirming.session, (mine, other))
                    break

    def _half(self, mine: int, other: int) -> bytes:
        terms, key = self.confirming.group.terms, self.keys[mine]
        offers = {
            (one.sender, deal.holder): deal.offer for one in self.confirming.shares for deal in one.deals
        }
        if offers_to(terms, mine, other):
            return recover(key, self.digest, mine, other, offers[mine, other])
        if offers_to(terms, other, mine):
            return accept(key, self.digest, other, mine, offers[other, mine])
        return b""


def _shares(group: GroupTape) -> Shares:
    """All shares in the adversary's hands: opened to the server, and held by colluders."""
    found: Shares = {}
    for holder, data in group.replies.get(Step.UNMASK, {}).items():
        message = from_bytes(data)
        if isinstance(message, UnmaskReply):
            for opening in message.openings:
                found.setdefault((opening.dealer, opening.kind), {})[holder] = opening.share
    for holder, states in group.states.items():
        for holding in (one for state in states if isinstance(state, Masked) for one in state.holdings):
            found.setdefault((holding.dealer, KEY_KIND), {})[holder] = holding.pair.key_share
            found.setdefault((holding.dealer, SEED_KIND), {})[holder] = holding.pair.seed_share
    return found


def _rebuilt(terms: Terms, shares: Shares, kind: int) -> dict[int, bytes]:
    found = {}
    for (dealer, one), by_holder in shares.items():
        if one == kind and len(by_holder) >= terms.threshold:
            holders = sorted(by_holder)[: terms.threshold]
            weights = lagrange_at_zero([point(terms, holder) for holder in holders])
            found[dealer] = combine_with(weights, [by_holder[holder] for holder in holders])
    return found


def _rebuilt_keys(group: GroupTape, shares: Shares) -> dict[int, KeyPair]:
    terms = group.terms
    return {dealer: key_pair(terms, one) for dealer, one in _rebuilt(terms, shares, KEY_KIND).items()}


def _own_keys(group: GroupTape, shares: Shares) -> dict[int, KeyPair]:
    return {
        client: key_pair(group.terms, state.mask_private)
        for client, states in group.states.items()
        for state in states
        if isinstance(state, Shared)
    }
