"""The honest clients of one process: around one resident model, over one ledger.

What this file does NOT do: put parties in their place (`clients=` of `securefl.building.assembly`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from securefl import config as configuration
from securefl.building.learners import kept_at_home
from securefl.building.session import Session, task_id
from securefl.crypto.keys import Identity
from securefl.crypto.randomness import Randomness
from securefl.errors import ConfigError
from securefl.federation.client import Charge, Client
from securefl.federation.contribution import LocalUpdate, Trainer
from securefl.federation.feedback import WithFeedback
from securefl.federation.personal import PersonalModel, WithPersonal
from securefl.federation.private_half import PrivateHalf
from securefl.federation.stopwatch import Stopwatch
from securefl.guarantee import Terms
from securefl.privacy.ledger import Ledger
from securefl.secagg import Member, Policy, Roster

if TYPE_CHECKING:
    from securefl.training import Learner


@dataclass(frozen=True)
class ClientSide:
    """What honest clients share.

    Attributes:
        terms: the terms of the run.
        session: the run itself.
        store: its ledger.
        learner: the resident model.
        personal: personal models by client, none without personalisation. Under `ditto` they train beside
            the shared one in every round, private halves train with it.
        stopwatch: counts the clients' seconds.
    """

    terms: Terms
    session: Session
    store: Ledger
    learner: Learner
    personal: Mapping[int, PersonalModel | PrivateHalf]
    stopwatch: Stopwatch

    def clients(self, ids: Iterable[int]) -> dict[int, Client]:
        """The clients with these ids."""
        roster, keys, run = self.session.enrolment.roster, self.session.enrolment.keys, self.session.run
        policy, charge = _policy(self.terms, roster, run), _charge(self.terms, run)
        return {
            client: Client(
                member=Member(client, Identity.from_bytes(keys[client]), roster, policy, self.session.source),
                contribution=self._contribution(client),
                store=self.store,
                charge=charge,
                stopwatch=self.stopwatch,
            )
            for client in ids
        }

    def _contribution(self, client: int) -> LocalUpdate | WithFeedback | WithPersonal:
        own, personal = self.personal.get(client), self.terms.config.personalisation
        trainer = own if isinstance(own, PrivateHalf) else self.learner
        local = _local_update(self.terms, client, self.session.source, trainer, self.stopwatch)
        update: LocalUpdate | WithFeedback = local
        if self.terms.subsample is not None:
            recalled = partial(self.store.unsent, client)
            update = WithFeedback(local, self.terms.dim, self.terms.turns, self.terms.subsample, recalled)
        if isinstance(own, PersonalModel) and personal is not None and personal.kind == "ditto":
            return WithPersonal(update, own, self.stopwatch)
        return update


def local_update(
    terms: Terms, client: int, source: Randomness, learner: Trainer, stopwatch: Stopwatch
) -> LocalUpdate:
    """The honest contribution of one client, for whoever plays it without a durable store.

    Raises:
        ConfigError: a part of the update would travel and the rest have nowhere to stay, or half of the model
            stays at home.
    """
    if terms.subsample is not None:
        raise ConfigError(
            "expected whole updates in audits, arenas and open rounds, where a client has no durable store "
            "for the rest, got a part; leave the key out there, one release costs the same",
            "secure_aggregation.subsample",
        )
    if kept_at_home(terms):
        raise ConfigError(
            "expected a method whose contributions need nothing of a client's own here, got 'fedsa'; use ffa",
            "model.lora.method",
        )
    return _local_update(terms, client, source, learner, stopwatch)


def _local_update(
    terms: Terms, client: int, source: Randomness, learner: Trainer, stopwatch: Stopwatch
) -> LocalUpdate:
    return LocalUpdate(
        client=client,
        trainer=learner,
        examples=terms.dataset.train.take(terms.shares[client]),
        encoding=terms.encoding,
        weight=terms.weights[client],
        randomness=source,
        stopwatch=stopwatch,
        parameters=None if terms.turns is None and terms.subsample is None else terms.dim,
    )


def _policy(terms: Terms, roster: Roster, run: str) -> Policy:
    """What a client insists on, from its own copy of the config; the server may only tighten it."""
    secagg = terms.config.secure_aggregation
    fewest = terms.config.fewest_survivors
    return Policy(
        task=task_id(run),
        config=configuration.digest(terms.config),
        authority=roster.authority,
        length=terms.encoding.length,
        ring_bits=terms.encoding.ring_bits,
        threshold_min=secagg.threshold,
        group_min=fewest,
        survivors_min=fewest,
        colluding=secagg.max_colluding,
        epoch_rounds=secagg.epoch_rounds,
        masking=secagg.masking,
        max_redraws=secagg.max_redraws,
        draw_min=fewest,  # and as many per group as `group_min` says, for the number of groups is fixed
        groups=terms.config.groups,
        rounds=terms.config.server.rounds,
        max_attempts=terms.config.privacy.spare_releases,
        max_dropout=secagg.dropout_bound,
        agreement=secagg.agreement,
    )


def _charge(terms: Terms, run: str) -> Charge | None:
    budget = terms.budget
    if budget is None:
        return None
    source = terms.dataset.source_hash
    return Charge(source, run, budget.event, budget.releases, budget.cap, budget.delta, budget.accountant)
