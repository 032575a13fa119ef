"""The attackers of one run: honest clients in, the parties that really take part out.

    clients = poisoned(config, named_attack("alie"), attackers=2)
    process = securefl.build_federated_averaging(config, clients=clients)

Rules kept here:
- A malicious client keeps its identity and speaks the honest protocol; only what it contributes is another
  vector. Honest clients keep everything: what the attackers know of them is overheard (`overheard`).
- Who is malicious follows from the groups. Members learn the groups from the evidence of the draw, which is
  in every round's first request; a new draw may make other clients malicious, so that the placement stays
  the worst one. Set `secure_aggregation.epoch_rounds` to the number of rounds to keep them.
- The attackers' own randomness is drawn from a seed: an experiment, not a secret.

What this file does NOT do: drop out, withhold or equivocate (attacks on the protocol have their own tests).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from securefl.attacks import lie
from securefl.attacks.attack import Attack, Craft, Judge, Rows, Vector, View
from securefl.attacks.capability import Capability, check_granted
from securefl.attacks.overheard import Overheard, overhear
from securefl.attacks.placement import Groups, Placement, placed
from securefl.config import Config
from securefl.crypto.randomness import Stream
from securefl.encoding import Encoding, clip_to_norm
from securefl.errors import ConfigError
from securefl.federation.broadcast import received
from securefl.federation.client import Client, Party, Prepared
from securefl.federation.contribution import Contribution, LocalUpdate, Words
from securefl.federation.private_half import PrivateHalf
from securefl.robust import OwnRule, combine
from securefl.secagg import split
from securefl.secagg.draw import deal
from securefl.secagg.messages import AdvertiseRequest, PlainRequest, from_bytes

Slot = tuple[int, int]
"""Round and attempt."""


def poisoned(
    config: Config,
    attack: Attack,
    attackers: int,
    *,
    placement: Placement = "spread",
    granted: frozenset[Capability] = frozenset(Capability),
    seed: int = 0,
    rule: OwnRule | None = None,
) -> Callable[[Mapping[int, Client]], Mapping[int, Party]]:
    """The `clients=` argument that puts `attackers` malicious clients into a run of `config`.

    Args:
        config: the run's config, from which attackers who know the rule know it.
        attack: from `named_attack`.
        attackers: how many; more than `robust.max_malicious` is allowed, and is what breaks it.
        placement: where they sit among the groups.
        granted: what the adversary can do.
        seed: of the attackers' own randomness.
        rule: the caller's own rule, where the run has one in place of the config's.

    Raises:
        ConfigError: the attack needs more than is granted.
    """
    check_granted(attack.name, attack.needs, granted)

    def clients(honest: Mapping[int, Client]) -> dict[int, Party]:
        contributions = {client: one.contribution for client, one in honest.items()}
        encoding = next(iter(_locals(contributions).values())).encoding
        coalition = Coalition(attack, attackers, placement, judge_of(config, encoding, rule), seed)
        seats = coalition.join(contributions)
        groups = config.groups
        return {
            client: _Listening(replace(one, contribution=seats[client]), coalition, groups)
            for client, one in honest.items()
        }

    return clients


def judge_of(config: Config, encoding: Encoding, rule: OwnRule | None = None) -> Judge:
    """What the server of `config` makes of rows: its guard, its steps and its rule.

    Buckets are filled in the order of the rows: attackers who search do not try every order of the draw.
    """
    robust = config.robust
    bound = encoding.norm_bound if robust.norm_guard else None

    def judge(rows: Rows) -> Vector:
        weights = np.ones(len(rows))
        return combine(
            rule or robust.rule, robust.max_malicious, rows, weights, bound, robust.steps, np.arange
        ).vector

    return judge


class Coalition:
    """The attackers of one run and what they know. A resource: it belongs to one run."""

    def __init__(
        self, attack: Attack, attackers: int, placement: Placement, judge: Judge | None, seed: int
    ) -> None:
        self._attack = attack
        self._count = attackers
        self._placement = placement
        self._judge = judge
        self._random = np.random.default_rng(seed)
        self._craft: Craft | None = None if attack.begin is None else attack.begin()
        self._clients: dict[int, LocalUpdate] = {}
        self._poisoned: dict[int, LocalUpdate] = {}
        self._ears: dict[int, Overheard] = {}
        self._classes = 0
        self._slot: Slot = (0, 0)
        self._round = 0
        self._groups: Groups = ()
        self._model: Vector | None = None
        self._previous: Vector | None = None
        self._rows: Rows | None = None
        self._target: Vector | None = None
        self.attackers: tuple[int, ...] = ()

    def join(self, contributions: Mapping[int, Contribution]) -> dict[int, Contribution]:
        """The contributions of all clients, each of which may turn out to be malicious."""
        for client, local in _locals(contributions).items():
            self._clients[client], self._ears[client] = overhear(local)
        self._classes = 1 + max(int(one.examples.labels.max()) for one in self._clients.values())
        return {client: _Seat(self, client) for client in self._clients}

    def meet(self, slot: Slot, groups: Groups) -> None:
        """An attempt at a round begins among these groups."""
        if groups != self._groups:
            self._groups = groups
            self.attackers = placed(groups, self._count, self._placement)
            self._poisoned = {client: self._taught(client) for client in self.attackers}
        if slot != self._slot:
            self._slot, self._rows, self._target = slot, None, None
            for ear in self._ears.values():
                ear.forget()

    def words(self, client: int, model: bytes, round: int) -> Words:
        """What `client` sends: its honest contribution, or the attack's."""
        local = self._clients[client]
        self._see(model)
        if client not in self.attackers:
            return local(model, round)
        if self._craft is None and not self._attack.inflates:
            return self._poisoned[client](model, round)
        weight = local.encoding.cap if self._attack.inflates else local.weight
        stream = local.randomness.stream("lie", client, round)
        if self._attack.steers_group:
            return self._steering(client, self._agreed(client, round), weight, stream)
        wanted = self._own(client) if self._craft is None else self._craft(self._view(client, round))
        return lie.encode(local.encoding, wanted, weight, stream)

    def honest_rows(self) -> Rows:
        """Means of the groups without an attacker in the attempt in flight, before rounding.

        Shapes: (groups without an attacker, dim).

        Raises:
            ConfigError: every group has an attacker.
        """
        if self._rows is None:
            sound = [group for group in self._groups if not set(group) & set(self.attackers)]
            if not sound:
                raise ConfigError(
                    f"attack {self._attack.name!r} looks at groups without an attacker, and there is none; "
                    "use fewer attackers or an attack that does not look"
                )
            self._rows = np.stack([self._sum(group) / self._weight(group) for group in sound])
        return self._rows

    def _see(self, model: bytes) -> None:
        if self._round == self._slot[0]:
            return
        self._round = self._slot[0]
        one = next(iter(self._clients.values()))
        seen, encoding = received(model, one.encoding, one.parameters)
        self._previous, self._model = self._model, seen.astype(np.float64)
        for locals_ in (self._clients, self._poisoned):
            locals_.update({client: replace(one, encoding=encoding) for client, one in locals_.items()})

    def _view(self, client: int, round: int) -> View:
        assert self._model is not None  # noqa: S101 - `words` has seen it
        return View(
            needs=self._attack.needs,
            round=round,
            model=self._model,
            previous=self._previous,
            clients=len(self._clients),
            attackers=sum(1 for group in self._groups if set(group) & set(self.attackers)),
            clip_norm=self._clients[client].encoding.clip_norm,
            random=self._random,
            _own=partial(self._own, client),
            _leader=partial(self._own, self.attackers[0]),
            _rows=self.honest_rows,
            _judge=self._judge,
        )

    def _agreed(self, client: int, round: int) -> Vector:
        """What all attackers want their groups' means to be in this attempt; worked out once."""
        if self._target is None:
            assert self._craft is not None  # noqa: S101 - an attack that steers has a craft
            self._target = self._craft(self._view(client, round))
        return self._target

    def _steering(self, client: int, target: Vector, weight: int, stream: Stream) -> Words:
        """What this attacker sends for the mean of its group to become `target`.

        With weights w, honest sum S = sum w u and the group's total W, k attackers of total weight w_a send
        (target W - S) / w_a each.
        """
        group = next(group for group in self._groups if client in group)
        liars = [one for one in group if one in self.attackers]
        others = self._sum([one for one in group if one not in self.attackers])
        total, mine = self._weight(group), self._weight(liars)
        encoding = self._clients[client].encoding
        vector = (target * total - others) / mine
        return lie.encode(encoding, vector, weight, stream, others / encoding.cap, len(liars))

    def _sum(self, clients: Sequence[int]) -> Vector:
        """The weighted sum of what these honest clients will send, before rounding. Shapes: (dim,)."""
        some = next(iter(self._clients.values()))
        total = np.zeros(some.encoding.dim)
        for client in clients:
            total += self._clients[client].weight * self._update(self._clients[client])
        return total

    def _weight(self, clients: Sequence[int]) -> int:
        return sum(self._clients[client].weight for client in clients)

    def _own(self, client: int) -> Vector:
        return self._update(self._poisoned[client])

    def _update(self, local: LocalUpdate) -> Vector:
        """The clipped update of this round; trained once, whoever asks first."""
        assert self._model is not None  # noqa: S101 - `words` has seen it
        return clip_to_norm(
            local.update(self._model.astype(np.float32), self._slot[0]), local.encoding.clip_norm
        )

    def _taught(self, client: int) -> LocalUpdate:
        local, poison = self._clients[client], self._attack.poison
        return local if poison is None else replace(local, examples=poison(local.examples, self._classes))


@dataclass(frozen=True)
class _Seat:
    """One client's contribution; whether it is malicious is decided when the groups are known."""

    coalition: Coalition
    client: int

    def __call__(self, model: bytes, round: int) -> Words:
        return self.coalition.words(self.client, model, round)


@dataclass(frozen=True)
class _Listening:
    """A client that tells the coalition which groups a round has, and otherwise is the client that it was."""

    client: Client
    coalition: Coalition
    groups: int

    @property
    def id(self) -> int:
        return self.client.id

    def prepare(self, request: bytes) -> Prepared:
        for part in split(request):
            message = from_bytes(part)
            if isinstance(message, AdvertiseRequest | PlainRequest):
                terms, values = message.terms, message.evidence.values
                drawn = deal(terms.group_seed, tuple(sorted(one.sender for one in values)), self.groups)
                self.coalition.meet((terms.round, terms.attempt), drawn)
        return self.client.prepare(request)


def _locals(contributions: Mapping[int, Contribution]) -> dict[int, LocalUpdate]:
    # A private half keeps what every training leaves, so a second one beside the client's own would stay.
    found = {
        client: one
        for client, one in contributions.items()
        if isinstance(one, LocalUpdate) and not isinstance(one.trainer, PrivateHalf)
    }
    if len(found) < len(contributions):
        raise ConfigError(
            "expected honest clients that send whole updates to start from, got contributions that are no "
            "LocalUpdate or keep half of it; leave secure_aggregation.subsample and personalisation out"
        )
    return found
