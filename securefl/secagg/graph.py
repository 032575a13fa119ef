"""Who shares masks and secrets with whom inside a group: everybody, or neighbours on a ring.

Up to 64 members the graph is complete and the holders of a member's shares are all members, itself
included. Above, it is a Harary graph: members stand on a ring in an order that the draw's seed gives, and
the holders of a member's shares are the k/2 nearest on either side, itself not included.

Rules kept here:
- 2t > k + c, for c colluding holders: two lists of survivors cannot both collect t of k signatures.
- Above 64, k and t follow from (members, colluding, dropped): with colluding members and dropouts in any
  places of a random ring, each of these happens with probability at most 2^-41: some member has more
  colluding holders than c; the others fall apart into two parts without a mask between them. A member with
  fewer than t holders left has probability at most 2^-20. The order is random because nobody chooses the
  draw's seed; whoever may void a draw r times tries r + 1 orders, so multiply by that.
- Against a server that picks the dropouts after it saw the ring, every survivor's own check is left: t of
  its holders are in the sum. `split_probability` bounds what gets past it.

What this file does NOT do: promise a sum. One dishonest neighbour can always prevent it.

Reference: Bell, Bonawitz, Gascon, Lepoint, Raykova 2020, "Secure Single-Server Aggregation with
(Poly)Logarithmic Overhead", sections 3 and 4; the table that the tests compare with is published with
Google's federated-compute (graph parameter finder, semi-malicious server).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import comb, floor

from securefl.errors import ConfigError, DecodeError
from securefl.secagg.messages import MAX_COMPLETE, Terms
from securefl.secagg.transcript import digest, number

SECURITY_BITS = 40
CORRECTNESS_BITS = 20


@dataclass(frozen=True)
class Shape:
    """The numbers of one group's graph.

    Attributes:
        holders: k, holders of each member's shares.
        threshold: t, of them rebuild a secret, and must sign before they do.
        survivors: fewest members in a sum.
    """

    holders: int
    threshold: int
    survivors: int


@dataclass(frozen=True)
class Graph:
    """A group's graph.

    Attributes:
        order: the members; on a ring, in the order of the ring.
        reach: holders on either side of a member; 0 if the graph is complete.
    """

    order: tuple[int, ...]
    reach: int

    @cached_property
    def place(self) -> dict[int, int]:
        """Each member's place in the order, from 0."""
        return {member: place for place, member in enumerate(self.order)}

    @cached_property
    def _held(self) -> dict[int, tuple[int, ...]]:
        """The holders that were asked for before: a step asks for those of each neighbour many times."""
        return {}

    def holders(self, member: int) -> tuple[int, ...]:
        """Who holds shares of `member`, ascending; of whom `member` holds shares too, for it is mutual."""
        if not self.reach:
            return self.order
        if member not in self._held:
            self._held[member] = tuple(sorted(set(self.around(member)) - {member}))
        return self._held[member]

    def around(self, member: int) -> tuple[int, ...]:
        """The holders and the member itself."""
        if not self.reach:
            return self.order
        size, place = len(self.order), self.place[member]
        return tuple(self.order[(place + step) % size] for step in range(-self.reach, self.reach + 1))

    def supported(self, alive: Collection[int], threshold: int) -> set[int]:
        """Those of `alive` with `threshold` holders left, when whoever has fewer leaves too."""
        left = set(alive)
        while lonely := {one for one in left if len(left.intersection(self.holders(one))) < threshold}:
            left -= lonely
        return left


def shape(members: int, threshold: int | None, colluding: int, dropout: Fraction | None) -> Shape:
    """The graph's numbers for a group.

    Args:
        members: of the group.
        threshold: t of a complete graph, or None for the smallest one that is safe; above 64 members it
            follows from the others, whatever this says.
        colluding: n_c, members that collude with the server.
        dropout: largest part of the members that may be missing from a sum; None for no bound but t.
    """
    fewest = 1 if dropout is None else members - floor(dropout * members)
    if members <= MAX_COMPLETE:
        t = smallest_threshold(members, colluding) if threshold is None else threshold
        return Shape(members, t, max(t, fewest))
    if dropout is None:
        raise ConfigError(
            f"expected a bound on dropouts for {members} members in a group, got none; above {MAX_COMPLETE} "
            "the graph is sized for it, for example 0.1",
            "secure_aggregation.max_dropout",
        )
    k, t = ring_parameters(members, colluding, members - fewest)
    return Shape(k, t, fewest)


def split_probability(members: int, colluding: int, shape: Shape) -> Fraction:
    """Bound on a server's chance to split a sum on a ring, whoever it drops: 0 in a complete graph.

    The first and the last honest survivor of a part have no honest survivor among the k/2 holders on their
    outer side, and t of all their holders in the sum: so at least 2t - k of these k places are colluders'
    (2t - k - 2 where the two parts were told different lists, which is what is counted here). Pairs of
    places times the chance of that many colluders in k random ones.
    """
    k = shape.holders
    if k == members:
        return Fraction(0)
    least = max(2 * shape.threshold - k - 2, 0)
    ways = sum(comb(colluding, x) * comb(members - colluding, k - x) for x in range(least, k + 1))
    return min(Fraction(1), Fraction(members * (members - k - 1), 2) * Fraction(ways, comb(members, k)))


def graph_of(terms: Terms) -> Graph:
    """The graph of a group, as everybody computes it from the round's terms."""
    return _graph(terms.members, terms.holders, terms.group_seed)


def smallest_threshold(members: int, colluding: int) -> int:
    """The smallest t of a complete graph with 2t > k + n_c and t - n_c >= 2.

    Example:
        >>> smallest_threshold(4, 0), smallest_threshold(10, 2)
        (3, 7)
    """
    return max((members + colluding) // 2 + 1, colluding + 2)


@lru_cache(maxsize=64)
def ring_parameters(members: int, colluding: int, dropped: int) -> tuple[int, int]:
    """The smallest even k, and its t, that keep the probabilities above. Exact arithmetic.

    Example:
        >>> ring_parameters(200, 20, 20), ring_parameters(1000, 100, 100)
        ((56, 39), (96, 67))

    Raises:
        ConfigError: no ring of so few members bears so many.
    """
    # With c >= k - 2 (k - t) no t is left; beyond this line the search could only fail, slowly.
    possible = range(2, members - 1, 2) if colluding + 2 * dropped < members else ()
    for k in possible:
        if _disconnected(members, k, colluding + dropped) < Fraction(1, 1 << (SECURITY_BITS + 1)):
            t = _threshold(members, k, colluding, dropped)
            if t is not None:
                return k, t
    raise ConfigError(
        f"expected a group whose graph bears {colluding} colluding members and {dropped} dropouts, got "
        f"{members} members; assume fewer, or make more groups of at most {MAX_COMPLETE}",
        "secure_aggregation.group_size",
    )


def _disconnected(members: int, k: int, bad: int) -> Fraction:
    """Bound on the probability that members who are neither colluding nor dropped fall apart.

    Two gaps of k/2 bad members in a row are needed: pairs of gaps, times the chance that k fixed
    places are all bad.
    """
    if k > bad:
        return Fraction(0)
    gaps = Fraction(members * (members - k - 1), 2)
    return gaps * Fraction(comb(bad, k), comb(members, k))


def _threshold(members: int, k: int, colluding: int, dropped: int) -> int | None:
    """The t with 2t > k + c for the c that colluding holders rarely pass, if enough holders stay for it."""
    c = _quantile(members, colluding, k, Fraction(1, members << (SECURITY_BITS + 1)))
    lost = _quantile(members, dropped, k, Fraction(1, members << CORRECTNESS_BITS))
    t = max((k + c) // 2 + 1, c + 1, 2)
    return t if t <= k - lost else None


def _quantile(members: int, marked: int, k: int, chance: Fraction) -> int:
    """The smallest x such that more than x of k random members are marked with at most this chance."""
    bound, tail = chance * comb(members, k), 0
    x = min(marked, k)
    ways = comb(marked, x) * comb(members - marked, k - x)
    while x >= 0:
        tail += ways
        if tail > bound:
            return x
        ways = ways * x * (members - marked - k + x) // ((marked - x + 1) * (k - x + 1))
        x -= 1
    return 0


@lru_cache(maxsize=32)
def _graph(members: tuple[int, ...], holders: int, seed: bytes) -> Graph:
    if holders == len(members):
        return Graph(members, 0)
    if holders > len(members):
        raise DecodeError(
            f"expected at most {len(members)} holders, the group's members, got {holders}; stop"
        )
    return Graph(tuple(sorted(members, key=lambda one: digest("ring", seed, number(one)))), holders // 2)
