"""Threat-model files to `ThreatModel`s, and a claim to the run configs that test it.

Rules kept here: plain YAML only, as for run configs; the file is called as the model's id; a user's config
takes the place of the file's, without the file's own overrides, for those say what the shipped system is.

What this file does NOT do: run anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from securefl import config as configuration
from securefl.config import Config
from securefl.config.document import read_mapping
from securefl.config.messages import translate
from securefl.errors import ConfigError
from securefl.threats.model import Measured, ThreatModel

_ALWAYS = ("engine={kind: in_process}", "privacy.ledger=null")
"""Where a run computes changes nothing; experiments are replayable, so a real ledger is no place for them."""


@dataclass(frozen=True)
class Target:
    """What a claim is tested on: a config file, and the overrides with the defence on and off."""

    config: str
    defended: tuple[str, ...]
    undefended: tuple[str, ...]


def load(path: Path) -> ThreatModel:
    """Reads a threat model; its config's path becomes absolute.

    Raises:
        ConfigError: unreadable, or not a threat model.
    """
    try:
        model = ThreatModel.model_validate(read_mapping(path))
    except ValidationError as error:
        raise _named(path, translate(error, ThreatModel)) from None
    except ConfigError as error:
        raise _named(path, error) from None
    if model.id != path.stem:
        raise ConfigError(f"{path}: expected id {path.stem!r} as the file is called, got {model.id!r}", "id")
    config = path.resolve().parent / Path(model.system.config).expanduser()
    return model.model_copy(update={"system": model.system.model_copy(update={"config": str(config)})})


def load_all(place: Path) -> tuple[ThreatModel, ...]:
    """The threat models of a file or of a folder, by name.

    Raises:
        ConfigError: there is none, or one is no threat model.
    """
    files = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
    if not files or not files[0].exists():
        raise ConfigError(
            f"expected a threat model or a folder of them at {place}, got none; the repository has some in "
            "threat_models/"
        )
    return tuple(load(file) for file in files)


def target(model: ThreatModel, claim: Measured, user: Path | None, fast: bool) -> Target:
    """What a measured claim is tested on, the user's config if there is one."""
    shorter = (*claim.budget.overrides, *(claim.budget.fast_overrides if fast else ()))
    base = (*(model.system.overrides if user is None else ()), *shorter, *_ALWAYS)
    config = model.system.config if user is None else str(user.resolve())
    return Target(config, base, (*base, *claim.control.overrides))


def system_config(model: ThreatModel, user: Path | None) -> Config:
    """The config that is attacked, at its full length.

    Raises:
        ConfigError: it is none.
    """
    if user is not None:
        return configuration.load(user)
    return configuration.load(model.system.config, model.system.overrides)


def _named(path: Path, error: ConfigError) -> ConfigError:
    return ConfigError(f"{path.name}: {error}")
