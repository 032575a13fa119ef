"""The arena's own YAML: which run, and the axes along which it is attacked.

Rules kept here:
- The run is the SAME config file that a user runs; the arena only names it and moves what its axes say.
- Strict like a run's config: unknown keys, wrong types and contradictions are typed errors, and every cell's
  run config is validated before anything runs.

What this file does NOT do: play (`cell`, `contest`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from securefl import config as configuration
from securefl.attacks.attack import Attack
from securefl.attacks.capability import Capability, check_granted
from securefl.attacks.table import attack_label, named_attack
from securefl.config import Config
from securefl.config.document import Tree, read_mapping
from securefl.config.messages import translate
from securefl.config.section import Decay, Positive, Section, Seed, Whole, doc
from securefl.errors import ConfigError

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Attacked(Section):
    """One attack of the closed table."""

    name: Annotated[str, doc("Name of an attack of the closed table.", "foe")]
    strength: Annotated[Positive | None, doc("Its strength, where it has one.", 100.0)] = None

    @property
    def label(self) -> str:
        """How tables call it."""
        return attack_label(self.name, self.strength)

    def attack(self) -> Attack:
        """The attack itself."""
        return named_attack(self.name, self.strength)


class Defence(Section):
    """One way of combining rows: a `robust` section of a run config under a name."""

    name: Annotated[str, Field(pattern=_NAME), doc("How tables call it.", "trimmed_mean")]
    robust: Annotated[
        dict[str, object],
        doc("The `robust` section of the run config.", {"rule": "trimmed_mean", "max_malicious": 2}),
    ]


class Heterogeneity(Section):
    """How the data is shared out among the clients."""

    kind: Annotated[
        Literal["iid", "dirichlet", "one_class"],
        doc("iid, dirichlet, or sorted by class and cut: one class each where clients match classes.", "iid"),
    ]
    alpha: Annotated[Positive | None, doc("Dirichlet concentration.", 0.3)] = None

    @property
    def label(self) -> str:
        """How tables call it."""
        return self.kind if self.alpha is None else f"{self.kind} {self.alpha:g}"


Several = Field(min_length=1, max_length=64, strict=False)


class Arena(Section):
    """Attacks x defences x heterogeneity x number of attackers, over seeds.

    Raises:
        ConfigError: values that contradict each other.
    """

    version: Annotated[Literal[1], doc("Version of this file format.", 1)]
    name: Annotated[str, Field(pattern=_NAME), doc("Name of the arena, and of its folder.", "arena")]
    config: Annotated[str, doc("The run's config, relative to this file.", "no_privacy.yaml")]
    overrides: Annotated[
        tuple[str, ...],
        Field(strict=False, max_length=64),
        doc("As --set of `securefl run`, for every cell.", ["server.rounds=10"]),
    ] = ()
    attacks: Annotated[tuple[Attacked, ...], Several, doc("Attacks.", [{"name": "foe"}])]
    defences: Annotated[
        tuple[Defence, ...],
        Several,
        doc("Rules.", [{"name": "mean", "robust": {"rule": "mean", "max_malicious": 0}}]),
    ]
    heterogeneity: Annotated[tuple[Heterogeneity, ...], Several, doc("Partitions.", [{"kind": "iid"}])]
    attackers: Annotated[
        tuple[Annotated[int, Field(ge=1, le=100_000)], ...],
        Several,
        doc("Numbers of malicious clients; more than a defence declares is allowed.", [1, 2]),
    ]
    seeds: Annotated[tuple[Seed, ...], Several, doc("Public seeds, one run per cell each.", [0, 1, 2])]
    adversary: Annotated[
        tuple[Annotated[Capability, Field(strict=False)], ...] | None,
        Field(strict=False),
        doc("What attackers can do; left out, everything.", ["alters_data"]),
    ] = None
    attackers_data: Annotated[
        Literal["own", "sample"],
        doc(
            "own: a share like everybody's. sample: honest clients share all of the data, attackers hold a "
            "random sample of it as large as an honest share.",
            "own",
        ),
    ] = "own"
    worker_momentum: Annotated[
        Decay, doc("Part of a client's last update that stays in the next, over rounds.", 0.9)
    ] = 0.0
    evaluations: Annotated[
        Whole, doc("Times that the model is scored on the way, at even distances; the end always is.", 4)
    ] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for at, one in enumerate(self.attacks):
            try:
                attack = one.attack()
                if self.adversary is not None:
                    check_granted(attack.name, attack.needs, self.adversary)
            except ConfigError as error:
                raise ConfigError(str(error), f"attacks.{at}") from None
        for key in ("attacks", "defences", "heterogeneity", "attackers", "seeds"):
            labels = [getattr(one, "label", getattr(one, "name", one)) for one in getattr(self, key)]
            twice = sorted({str(one) for one in labels if labels.count(one) > 1})
            if twice:
                raise ConfigError(f"expected each entry once, got {twice[0]!r} twice; remove one", key)
        return self


def load(path: Path) -> Arena:
    """Reads an arena file; its run config's path becomes absolute.

    Raises:
        ConfigError: unreadable, or not an arena.
    """
    arena = _validated(read_mapping(path))
    return arena.model_copy(update={"config": str(path.resolve().parent / Path(arena.config).expanduser())})


def run_config(
    arena: Arena, defence: Defence, partition: Heterogeneity, seed: int, clients: int | None
) -> Config:
    """The config of one cell's run.

    Args:
        arena: names the run.
        defence: its `robust` section.
        partition: its data partition; `one_class` shares are made by the cell.
        seed: its seed.
        clients: number of clients, or None for the config's own.

    Raises:
        ConfigError: the run config refuses the combination; the defence is named.
    """
    split: Tree = {"kind": "iid" if partition.kind == "one_class" else partition.kind}
    if partition.alpha is not None:
        split["alpha"] = partition.alpha
    changes = [
        *arena.overrides,
        f"seed={seed}",
        f"robust={_flow(dict(defence.robust))}",
        f"data.partition={_flow(split)}",
        *([] if clients is None else [f"clients={clients}"]),
    ]
    try:
        return configuration.load(Path(arena.config), changes)
    except ConfigError as error:
        raise ConfigError(
            f"defence {defence.name!r} with {partition.label} and seed {seed}: {error}", error.path
        ) from None


def _flow(values: Tree) -> str:
    return yaml.safe_dump(values, default_flow_style=True, width=10**6).strip()


def _validated(tree: Tree) -> Arena:
    try:
        return Arena.model_validate(tree)
    except ValidationError as error:
        raise translate(error, Arena) from None
