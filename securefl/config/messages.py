"""What pydantic found, said in sentences: path, expected, got, what to do.

Rules kept here: every sentence names the dotted path as it stands in the YAML file; advice comes from
the field's own description and example, so it cannot go stale apart from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from json import dumps
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from securefl.errors import ConfigError

_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list such as [100]",
    "finite_number": "a finite number",
    "model_type": "a section (keys and values)",
    "model_attributes_type": "a section (keys and values)",
    "string_pattern_mismatch": "at most 64 letters, digits, '.', '_' or '-', a letter or digit first",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "of at most"),
}


@dataclass(frozen=True)
class Place:
    """Where an error is: its path, the field there (None if there is none) and the section around it."""

    path: str
    field: FieldInfo | None
    section: type[BaseModel] | None


def translate(error: ValidationError, root: type[BaseModel]) -> ConfigError:
    """All findings as one `ConfigError`; the path is the first one's."""
    first, *others = [_told(finding, root) for finding in error.errors(include_url=False)]
    more = "".join(f"\n{path}: {sentence}" for path, sentence in others)
    return ConfigError(first[1] + more, first[0])


def locate(location: Sequence[int | str], root: type[BaseModel]) -> Place:
    """The place of a pydantic location; its tags of discriminated unions are not part of the path.

    Example:
        >>> from securefl.config import Config
        >>> locate(("server", "weights", "examples", "cap"), Config).path
        'server.weights.cap'
    """
    path: list[str] = []
    field: FieldInfo | None = None
    sections: tuple[type[BaseModel], ...] = (root,)
    section: type[BaseModel] | None = None
    for part in location:
        tagged = [one for one in sections if len(sections) > 1 and part in _tags(one)]
        if tagged:
            sections = (tagged[0],)
            continue
        path.append(str(part))
        if isinstance(part, int):
            field = None
            continue  # an item of a list: its sections are the list's
        section = sections[0] if sections else None
        field = section.model_fields.get(str(part)) if section else None
        sections = _sections(field.annotation) if field else ()
    return Place(".".join(path), field, section)


def nearest(word: str, words: Sequence[str]) -> str:
    """`did you mean ...?`, or the list of what there is."""
    close = get_close_matches(word, words, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"remove it, or use one of {', '.join(words)}"


def _told(finding: ErrorDetails, root: type[BaseModel]) -> tuple[str, str]:
    place = locate(finding["loc"], root)
    if finding["type"] in ("union_tag_not_found", "union_tag_invalid"):
        key = str(finding["ctx"]["discriminator"]).strip("'")
        return f"{place.path}.{key}", _union_sentence(key, finding["input"], finding["ctx"])
    return place.path, _sentence(finding, place)


def _sentence(finding: ErrorDetails, place: Place) -> str:
    kind, value, context = finding["type"], finding["input"], finding.get("ctx", {})
    if kind == "extra_forbidden":
        names = list(place.section.model_fields) if place.section else []
        owner, _, key = place.path.rpartition(".")
        known = nearest(key, names)
        return f"expected a key that {owner or 'a config'} has, got {key!r} with {_short(value)}; {known}"
    if kind == "missing":
        return f"expected {_meaning(place)}, got nothing; {_advice(place)}"
    if kind == "literal_error":
        choices = [str(one) for one in get_args(place.field.annotation)] if place.field else []
        return f"expected {' or '.join(choices)}, got {_short(value)}; {_choice(str(value), choices)}"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"expected a number {words} {_plain(context[key])}, got {_short(value)}; {_advice(place)}"
    if kind == "too_long":
        most, count = context["max_length"], context["actual_length"]
        return f"expected at most {most} values, got {count}; {_advice(place)}"
    return f"expected {_TYPES.get(kind, finding['msg'])}, got {_short(value)}; {_advice(place)}"


def _union_sentence(key: str, value: object, context: Mapping[str, object]) -> str:
    if "expected_tags" not in context:
        return f"expected this key, which says what kind of section it is, got {_short(value)}; add it"
    choices = str(context["expected_tags"]).replace("'", "").split(", ")
    got = value.get(key) if isinstance(value, Mapping) else value
    return f"expected {' or '.join(choices)}, got {_short(got)}; {_choice(str(got), choices)}"


def _choice(value: str, choices: Sequence[str]) -> str:
    close = get_close_matches(value, choices, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"write for example {choices[0]}"


def _meaning(place: Place) -> str:
    text = place.field.description if place.field else None
    if not text:
        return "a value"
    sentence = text.partition(". ")[0].rstrip(".")
    return sentence if sentence[1].isupper() else sentence[0].lower() + sentence[1:]


def _advice(place: Place) -> str:
    if place.field is None or not place.field.examples:
        return "correct it"
    name = place.path.rpartition(".")[2]
    return f"write for example `{name}: {dumps(place.field.examples[0])}`"


def _sections(annotation: object) -> tuple[type[BaseModel], ...]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    if get_origin(annotation) is None:
        return ()
    return tuple(found for part in get_args(annotation) for found in _sections(part))


def _tags(section: type[BaseModel]) -> tuple[object, ...]:
    for key in ("kind", "unit"):
        field = section.model_fields.get(key)
        if field is not None and get_origin(field.annotation) is Literal:
            return get_args(field.annotation)
    return ()


def _plain(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _short(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
