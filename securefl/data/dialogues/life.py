"""A client's life: the dialogues that one client has in one domain, drawn from the grammar.

Rules kept here:
- A function of (seed, client, domain, part, count) and nothing else; `count` only decides where it stops.
- A client has habits: some acts often, others hardly ever, and three of the five training bodies of each
  act. Its test part has all acts alike, with bodies, unfit requests and entities that no training part has.
- Of ten examples seven end in a call, two in no call because no tool fits, one in words after a tool's
  result.

What this file does NOT do: stand for real people (`domain.DESCRIPTION`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeVar, get_args

import numpy as np

from securefl.calls import Call, Message, Value
from securefl.data.dialogues.customer_service import CUSTOMER_SERVICE
from securefl.data.dialogues.domain import Act, Domain, Private, fill
from securefl.data.dialogues.education import EDUCATION
from securefl.data.dialogues.entities import (
    codes,
    names,
    private_entities,
    public_codes,
    public_names,
    public_words,
)
from securefl.data.dialogues.medical_booking import MEDICAL_BOOKING
from securefl.data.dialogues.phrases import CLOSERS, DONE, OPENERS, PROBE_ABOUT, PROBES, TEST, TRAIN, UNFIT
from securefl.data.dialogues.virtual_assistant import VIRTUAL_ASSISTANT
from securefl.errors import DataError

DOMAINS: Mapping[str, Domain] = {
    domain.name: domain for domain in (CUSTOMER_SERVICE, VIRTUAL_ASSISTANT, EDUCATION, MEDICAL_BOOKING)
}
T = TypeVar("T")
Part = Literal["public", "train", "test"]
Kind = Literal["call", "unfit", "result"]
PUBLIC = -1
"""The client of the public part: its entities are nobody's."""
_KINDS: tuple[Kind, ...] = ("call",) * 7 + ("unfit",) * 2 + ("result",)
_TAG = 0xD1A6
_SKEW = 0.7
_HABITUAL_BODIES = 3
_INVENTED = 0.5
"""Of the open slots of the public part, and of what its requests that no tool fits are about: words that mean
nothing, so that whoever learns from them learns to copy and not to remember."""


@dataclass(frozen=True)
class Example:
    """One dialogue up to the right next reply.

    Attributes:
        call: what the right reply calls; None where it is words.
    """

    client: int
    domain: str
    kind: Kind
    messages: tuple[Message, ...]
    answer: str
    call: Call | None


def dialogues(domain: str, seed: int, client: int, part: Part, count: int) -> tuple[Example, ...]:
    """The first `count` dialogues of a client.

    Args:
        domain: one of `DOMAINS`.
        seed: the public experiment seed.
        client: from 0, or `PUBLIC` with the part `public` only.
        part: which part.
        count: how many, at least 1.

    Example:
        >>> one = dialogues("education", seed=1, client=0, part="train", count=1)[0]
        >>> one.messages[-1].role, one.domain
        ('user', 'education')

    Raises:
        DataError: no such domain, part or client, or no count.
    """
    place = _place(domain)
    if part not in get_args(Part) or (client == PUBLIC) != (part == "public") or count < 1:
        raise DataError(
            f"expected part public with client {PUBLIC}, or train or test with a client from 0, and at least "
            f"1 dialogue, got part {part!r}, client {client} and {count}; correct them"
        )
    return tuple(islice(_life(DOMAINS[domain], place, seed, client, part), count))


def named(domain: str) -> Domain:
    """The domain of a name.

    Raises:
        DataError: there is none.
    """
    if domain not in DOMAINS:
        raise DataError(f"expected a domain of {', '.join(DOMAINS)}, got {domain!r}; name one of them")
    return DOMAINS[domain]


def probes(domain: str, about: Sequence[str] = ()) -> tuple[tuple[Message, ...], ...]:
    """Prompts that fish for entities of other clients, under the domain's own system prompt.

    Args:
        domain: one of `DOMAINS`.
        about: entities, each of which one more prompt at the end asks about.
    """
    system = Message("system", named(domain).system)
    texts = (*PROBES, *(PROBE_ABOUT.format(entity=entity) for entity in about))
    return tuple((system, Message("user", text)) for text in texts)


def known_to(domain: str, seed: int, client: int) -> tuple[str, ...]:
    """The private entities of a client in a domain."""
    return private_entities(seed, client, _place(domain))


def _place(domain: str) -> int:
    return list(DOMAINS).index(named(domain).name)


def _life(domain: Domain, place: int, seed: int, client: int, part: Part) -> Iterator[Example]:
    entities = _entities(seed, client, place, part)
    habits = np.random.default_rng([_TAG, seed, client + 1, place])
    often = habits.dirichlet([_SKEW] * len(domain.acts))
    bodies = {act.tool.name: _bodies(act, part, habits) for act in domain.acts}
    random = np.random.default_rng([_TAG, seed, client + 1, place, get_args(Part).index(part)])
    chances = often if part == "train" else np.full(len(domain.acts), 1 / len(domain.acts))

    def value(slot: str) -> Value:
        filler = domain.slots[slot]
        if isinstance(filler, Private):
            return _pick(entities[filler.kind], random)
        if (
            part == "public"
            and isinstance(filler.train[0], str)
            and filler.test
            and random.random() < _INVENTED
        ):
            return _pick(public_words(seed), random)
        return _pick(filler.test if part == "test" and filler.test else filler.train, random)

    while True:
        for kind in random.permutation(np.array(_KINDS)):
            if kind == "unfit":
                invented = public_words(seed) if part == "public" and random.random() < _INVENTED else ()
                yield _unfit(domain, client, _dressed("", part, random, invented))
                continue
            act = domain.acts[int(random.choice(len(domain.acts), p=chances))]
            filled = {name: value(name) for name in act.tool.kinds}
            asked = _dressed(fill(_pick(bodies[act.tool.name], random), filled), part, random)
            yield _call(domain, act, client, asked, filled, after=kind == "result")


def _entities(seed: int, client: int, place: int, part: Part) -> Mapping[str, tuple[str, ...]]:
    if part == "public":
        return {"name": public_names(seed), "code": public_codes(seed)}
    own = {"name": names(seed, client, place), "code": codes(seed, client, place)}
    return {kind: known.test if part == "test" else known.train for kind, known in own.items()}


def _bodies(act: Act, part: Part, habits: np.random.Generator) -> tuple[str, ...]:
    mine = habits.choice(len(act.train), _HABITUAL_BODIES, replace=False)
    match part:
        case "public":
            return act.train[:2]
        case "train":
            return tuple(act.train[at] for at in mine)
        case "test":
            return act.test


def _dressed(body: str, part: Part, random: np.random.Generator, things: Sequence[str] = ()) -> str:
    unfit = TEST if part == "test" else TRAIN
    inner = body or _pick(unfit.requests, random).format(thing=_pick(things or unfit.things, random))
    return f"{_pick(OPENERS, random)}{inner}{_pick(CLOSERS, random)}"


def _unfit(domain: Domain, client: int, asked: str) -> Example:
    messages = (Message("system", domain.system), Message("user", asked))
    return Example(client, domain.name, "unfit", messages, UNFIT, None)


def _call(
    domain: Domain, act: Act, client: int, asked: str, filled: Mapping[str, Value], after: bool
) -> Example:
    call = Call(act.tool.name, filled)
    messages = (Message("system", domain.system), Message("user", asked))
    if not after:
        return Example(client, domain.name, "call", messages, call.text, call)
    result = act.result(filled)
    heard = (*messages, Message("assistant", call.text), Message("tool", result))
    return Example(client, domain.name, "result", heard, DONE + result, None)


def _pick(options: Sequence[T], random: np.random.Generator) -> T:
    return options[int(random.integers(len(options)))]
