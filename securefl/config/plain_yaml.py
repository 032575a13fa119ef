"""Plain YAML values from text: mappings, lists, text, numbers, true, false, null. Nothing else.

Rules kept here:
- `SafeLoader`'s types without dates; tags, anchors and aliases are refused, so that a small file cannot
  stand for a large tree and a name can never become an object.
- A key that stands twice is refused: YAML would silently take the last one.
- `1e-5` is a number, as in every other language (YAML 1.1 alone insists on `1.0e-5`).
"""

from __future__ import annotations

import re
from collections.abc import Hashable

import yaml

from securefl.errors import ConfigError

_FLOAT = re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$")
_DATE = "tag:yaml.org,2002:timestamp"


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader that refuses what `read` says."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ConfigError(
                f"expected plain values, got the anchor or alias {event.anchor!r} in line "
                f"{event.start_mark.line + 1}; write the value out"
            )
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            raise ConfigError(
                f"expected plain values, got the YAML tag {tag!r} in line {event.start_mark.line + 1}; "
                "remove it: a config never names code"
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[object] = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if isinstance(name, str) and name in seen:
                raise ConfigError(
                    f"expected every key once, got {name!r} a second time in line {key.start_mark.line + 1}; "
                    "remove one",
                    name,
                )
            seen.add(name if isinstance(name, str) else id(key))
        return super().construct_mapping(node, deep)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _DATE]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def read(text: str) -> object:
    """The value that the text stands for.

    Example:
        >>> read("{rounds: 3, delta: 1e-5, masking: false}")
        {'rounds': 3, 'delta': 1e-05, 'masking': False}

    Raises:
        ConfigError: not YAML, or more than plain values.
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506  # a SafeLoader, stricter still
    except yaml.YAMLError as error:
        raise ConfigError(
            f"expected YAML, got text that does not read: {_one_line(error)}; correct it"
        ) from None
    except RecursionError:
        raise ConfigError("expected a few levels of sections, got very deep nesting; correct it") from None
    except ValueError as error:
        raise ConfigError(f"expected plain values, got one that does not read: {error}; correct it") from None


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())
