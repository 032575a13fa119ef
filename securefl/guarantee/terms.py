"""Everything that a run derives from its config and its data, before anything runs.

Rules kept here:
- The guarantee card prints these numbers and `securefl.building` builds the run from the same ones.
- A combination that breaks a guarantee on this data is refused here, before anything is written.

What this file does NOT do: import torch, so that `securefl check` answers at once; a language model alone
needs it to count its adapters.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from securefl.config import Config
from securefl.data import Dataset, partition
from securefl.data.partition import Parts
from securefl.data.split import held_out as split_off
from securefl.encoding import Encoding, Subsample
from securefl.errors import BudgetExceeded, ConfigError, DataError, LedgerUnusable
from securefl.federation.rehearsal import Traffic
from securefl.guarantee.wire import traffic, wire
from securefl.privacy.accountant import epsilon, noise_multiplier_for
from securefl.privacy.events import DistributedDiscreteGaussian, Event, SampledGaussian
from securefl.privacy.ledger import Ledger
from securefl.robust import OwnRule, rows_needed
from securefl.training.turns import Turns


@dataclass(frozen=True)
class Budget:
    """What one client may spend, and on what.

    Attributes:
        event: the privacy event of one release.
        releases: most releases that one client can make: rounds and spare releases.
        epsilon: spent by a client that makes all of them, by the run's accountant.
        epsilon_rdp: the same by the RDP accountant, as a cross-check.
        delta: the delta of both.
        cap: what the ledger lets the data reach over all runs recorded in it.
        accountant: `pld` or `rdp`.
    """

    event: Event
    releases: int
    epsilon: float
    epsilon_rdp: float
    delta: float
    cap: float
    accountant: str


@dataclass(frozen=True)
class Terms:
    """What is settled before a run starts.

    Attributes:
        config: the validated config.
        dataset: the loaded data.
        shares: per client, the indices of the examples that it trains on.
        held_out: per client, those that it compares models on; empty without personalisation.
        dim: parameters that train.
        encoding: how updates become ring words.
        budget: the privacy budget; None without differential privacy.
        weights: integer weight per client.
        traffic: bytes per client and round, measured by playing one group of the real protocol.
        own_rule: the caller's own rule in place of the config's; None for the config's.
        turns: which parameters train together in which round, and which never; None for all in every one.
        subsample: which of them travel; None for all.
    """

    config: Config
    dataset: Dataset
    shares: Parts
    held_out: Parts
    dim: int
    encoding: Encoding
    budget: Budget | None
    weights: dict[int, int]
    traffic: Traffic
    own_rule: OwnRule | None = None
    turns: Turns | None = None
    subsample: Subsample | None = None

    @property
    def gradient_noise(self) -> float | None:
        """Noise of local DP-SGD as a multiple of its clip; None where gradients get none."""
        event = None if self.budget is None else self.budget.event
        return event.noise_multiplier if isinstance(event, SampledGaussian) else None

    @property
    def rule(self) -> str | OwnRule:
        """The rule that runs."""
        return self.config.robust.rule if self.own_rule is None else self.own_rule


def settle(config: Config, dataset: Dataset, dim: int | None = None, run: str | None = None) -> Terms:
    """Derives the terms of a run.

    Args:
        config: the validated config.
        dataset: the data it names, or the caller's own.
        dim: parameters of the caller's own module; computed from the config's model if None.
        run: id of the run when it is resumed: its own releases are part of the plan, not on top of it.

    Raises:
        ConfigError: a combination that cannot run or breaks a guarantee on this data.
        DataError: the data cannot be shared out as asked.
        BudgetExceeded: the shared ledger has too little left for the whole run.
        LedgerUnusable: the shared ledger is damaged, locked, or no ledger.
    """
    split = config.data.partition
    given = partition(dataset, split.kind, config.clients, config.seed, alpha=split.alpha)
    shares, held_out = _apart(config, dataset, given)
    if (
        dim is not None
        and config.personalisation is not None
        and config.personalisation.kind == "private_half"
    ):
        raise ConfigError(
            "expected the config's own adapters with 'private_half', got a module of yours; use ditto",
            "personalisation.kind",
        )
    travels = wire(config, dataset, dim)
    budget = _budget(config, dataset) if travels.event is None else _client_level(config, travels.event)
    if budget is not None:
        _refuse_over_cap(config, dataset, budget, run)
    return Terms(
        config,
        dataset,
        shares,
        held_out,
        travels.dim,
        travels.encoding,
        budget,
        client_weights(config, shares),
        traffic(config, travels),
        turns=travels.turns,
        subsample=travels.subsample,
    )


def with_rule(terms: Terms, rule: OwnRule) -> Terms:
    """The terms of the same run under the caller's own rule.

    Raises:
        ConfigError: the config has fewer groups than the rule says it needs.
    """
    robust = terms.config.robust
    needed = rows_needed(rule, robust.max_malicious, before=robust.steps)
    if terms.config.groups < needed:
        raise ConfigError(
            f"expected {needed} groups or more for the rule {rule.name!r}, f = {robust.max_malicious}, got "
            f"{terms.config.groups}; make the groups smaller or lower f",
            "robust.max_malicious",
        )
    return replace(terms, own_rule=rule)


def _apart(config: Config, dataset: Dataset, given: Parts) -> tuple[Parts, Parts]:
    """What each client trains on, and what it keeps to compare its personal model with the shared one."""
    personal = config.personalisation
    if personal is None:
        return given, tuple(share[:0] for share in given)
    labels = dataset.train.labels
    if labels.ndim == 2:  # of texts with answers, none is of another kind
        labels = labels[:, 0] * 0
    parts = [split_off(labels[share], None, personal.held_out, config.seed) for share in given]
    for client, (_, kept) in enumerate(parts):
        if not len(kept):
            raise DataError(
                "personalisation.held_out: expected an example of every client to compare models on, got "
                f"none of the {len(given[client])} of client {client}; hold out a larger part, or share the "
                "data out among fewer clients"
            )
    return (
        tuple(share[train] for share, (train, _) in zip(given, parts, strict=True)),
        tuple(share[kept] for share, (_, kept) in zip(given, parts, strict=True)),
    )


def client_weights(config: Config, shares: Parts) -> dict[int, int]:
    """Integer weight per client: 1, the declared constant, or the capped number of examples."""
    declared = config.server.weights
    if declared.kind == "uniform":
        return dict.fromkeys(range(len(shares)), 1)
    if declared.kind == "public":
        return dict(enumerate(declared.values))
    return {client: min(len(share), declared.cap) for client, share in enumerate(shares)}


def _budget(config: Config, dataset: Dataset) -> Budget | None:
    privacy, training = config.privacy, config.training
    if privacy.unit != "example":
        return None
    examples = len(dataset.train)
    if privacy.delta >= 1.0 / examples:
        raise ConfigError(
            f"expected delta below 1/n = {1.0 / examples:.2g} for {examples} training examples, got "
            f"{privacy.delta:g}; at 1/n a mechanism may publish one whole record: choose 1/(10 n) or less",
            "privacy.delta",
        )
    releases = config.server.rounds + privacy.spare_releases
    sigma = noise_multiplier_for(
        privacy.epsilon,
        privacy.delta,
        training.sample_rate,
        training.local_steps * releases,
        method=privacy.accountant,
    )
    event = SampledGaussian(sigma, training.sample_rate, training.local_steps)
    return Budget(
        event=event,
        releases=releases,
        epsilon=epsilon(((event, releases),), privacy.delta, privacy.accountant),
        epsilon_rdp=epsilon(((event, releases),), privacy.delta, "rdp"),
        delta=privacy.delta,
        cap=privacy.cap,
        accountant=privacy.accountant,
    )


def _client_level(config: Config, event: DistributedDiscreteGaussian) -> Budget:
    privacy = config.privacy
    assert privacy.unit == "client"  # noqa: S101 - no other one has such an event
    releases = config.server.rounds + privacy.spare_releases
    spent = epsilon(((event, releases),), privacy.delta, privacy.accountant)
    return Budget(event, releases, spent, spent, privacy.delta, privacy.cap, privacy.accountant)


def _refuse_over_cap(config: Config, dataset: Dataset, budget: Budget, run: str | None) -> None:
    path = config.privacy.ledger
    if path is None:
        return
    _refuse_unwritable(Path(path))
    if not Path(path).exists() and config.privacy.ledger_head is None:
        return
    try:
        with Ledger.open(path, create=False) as ledger:
            if config.privacy.ledger_head is not None:
                ledger.verify(contains=config.privacy.ledger_head)
            check_ledger(ledger, dataset, budget, run or "")
    except (BudgetExceeded, LedgerUnusable) as error:
        raise type(error)(f"privacy.ledger: {path}: {str(error).removeprefix(f'{path}: ')}") from error


def _refuse_unwritable(path: Path) -> None:
    if not path.parent.is_dir():
        raise ConfigError(
            f"expected a file in a folder that exists, got {path}; make the folder or name another file",
            "privacy.ledger",
        )
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.W_OK):
            raise ConfigError(
                f"expected a file that can be written, in a folder that can, got {path}, and {place} is "
                "read-only; nothing may leave before it is charged: fix access or name another file",
                "privacy.ledger",
            )


def check_ledger(ledger: Ledger, dataset: Dataset, budget: Budget, run: str) -> None:
    """Raises BudgetExceeded if the ledger has too little left for the whole run; says by how much."""
    ledger.check_run(
        dataset.source_hash,
        run,
        budget.event,
        budget.releases,
        budget.cap,
        budget.delta,
        budget.accountant,
    )
