"""YAML text to `Config` and back.

Rules kept here:
- Nothing but plain YAML values: tags, anchors, aliases and duplicate keys are refused, sizes are capped.
- `parse(dump(config)) == config`, and equal configs have equal digests, whatever their layout.
- Paths in a file are relative to that file; paths given as overrides are relative to the working folder.

What this file does NOT do: say what a config may hold (`root` and its sections).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from securefl.config import plain_yaml, refusals
from securefl.config.messages import translate
from securefl.config.root import Config
from securefl.errors import ConfigError

Tree = dict[str, object]

MAX_BYTES = 1 << 20
LOCAL: Mapping[str, bool | set[str]] = {
    "engine": True,
    "device": True,
    "data": {"path"},
    "privacy": {"ledger", "ledger_head"},
}
"""Where a party keeps things and computes is its own matter, so the digest leaves it out."""
_PATHS = (("data", "path"), ("privacy", "ledger"), ("model", "path"))


def load(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Reads a config file.

    Args:
        path: the YAML file.
        overrides: `section.key=value` each, applied in order; the value is YAML, `null` removes the key.

    Raises:
        ConfigError: unreadable, not plain YAML, or not a config that can run.
        NotAvailable: it asks for something of a later version.
    """
    file = Path(path)
    tree = _anchored(read_mapping(file), file.resolve().parent)
    for text in overrides:
        tree = _anchored(_override(tree, text), Path.cwd())
    return _build(tree)


def parse(text: str, overrides: Sequence[str] = ()) -> Config:
    """A config from YAML text; relative paths stay as they are. Arguments and errors as for `load`."""
    if len(text.encode()) > MAX_BYTES:
        raise ConfigError(
            f"expected at most {MAX_BYTES} bytes of YAML, got {len(text.encode())}; name a config"
        )
    tree = _mapping(plain_yaml.read(text))
    for one in overrides:
        tree = _override(tree, one)
    return _build(tree)


def dump(config: Config) -> str:
    """The config as YAML, defaults written out."""
    return yaml.safe_dump(_values(config), sort_keys=False, allow_unicode=True)


def digest(config: Config) -> bytes:
    """32 bytes that name what all parties must agree on: SHA-256 of the canonical JSON, without `LOCAL`."""
    values = config.model_dump(mode="json", exclude_none=True, exclude=dict(LOCAL))
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(b"securefl config 1\n" + text.encode()).digest()


def schema() -> dict[str, object]:
    """JSON Schema of a config, for editors."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "securefl config"}
    return {**Config.model_json_schema(), **head}


def read_mapping(file: Path) -> Tree:
    """The sections of a YAML file of plain values, not validated.

    Raises:
        ConfigError: unreadable, too large, not plain YAML, or no mapping.
    """
    return _mapping(plain_yaml.read(_read(file)))


def _values(config: Config) -> Tree:
    values: Tree = config.model_dump(mode="json", exclude_none=True)
    return values


def _build(tree: Tree) -> Config:
    refusals.check(tree)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise translate(error, Config) from None


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ConfigError(
                f"{file}: expected at most {MAX_BYTES} bytes of YAML, got {file.stat().st_size}; "
                "name a config"
            )
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: expected a config file, got no such file; `securefl init` writes one"
        ) from None
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigError(f"{file}: expected readable UTF-8 text, got {cause}; fix the file") from cause


def _mapping(value: object) -> Tree:
    if not isinstance(value, dict):
        got = "an empty file" if value is None else f"a {type(value).__name__}"
        raise ConfigError(
            f"expected sections such as `data:`, got {got}; `securefl init` writes a config to edit"
        )
    for key in value:
        if not isinstance(key, str):
            raise ConfigError(f"expected text as key, got {key!r}; put it in quotes or correct it", str(key))
    return dict(value)


def _override(tree: Tree, text: str) -> Tree:
    path, equals, value = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"expected section.key=value, got {text!r}; for example server.rounds=10", "--set")
    return _with(tree, keys, plain_yaml.read(value), text)


def _with(tree: Mapping[str, object], keys: Sequence[str], value: object, text: str) -> Tree:
    first, *rest = keys
    changed = dict(tree)
    if rest:
        inner = changed.get(first, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"expected a section at {first!r}, got {inner!r}; correct --set {text}", "--set"
            )
        changed[first] = _with(inner, rest, value, text)
    elif value is None:
        changed.pop(first, None)
    else:
        changed[first] = value
    return changed


def _anchored(tree: Tree, folder: Path) -> Tree:
    anchored = dict(tree)
    for section, key in _PATHS:
        values = anchored.get(section)
        value = values.get(key) if isinstance(values, dict) else None
        if isinstance(values, dict) and isinstance(value, str) and value:
            place = folder / Path(value).expanduser()
            # A model that is no folder here is a hub id, or the built-in one.
            anchored[section] = values | {key: str(place) if section != "model" or place.is_dir() else value}
    return anchored
