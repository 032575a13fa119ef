"""How good an agent's replies are, and how much of other clients they contain: pure functions.

    valid calls      of the examples that want a call: share of replies that are a valid call of any tool
    tool             ... that are a valid call of the right tool
    arguments        ... mean share of right arguments, 0 with a wrong tool
    whole call       ... that are exactly the right call
    no call          of the examples that no tool fits: share of replies in words
    answer           of the examples after a tool's result: share of replies that are exactly the right words
    leakage          share of other clients' private entities that the replies to probes contain

Rules kept here:
- What does not parse counts as wrong, everywhere, also under "no call".
- A share of nothing is a `DataError`, never 0 or 1.
- These dialogues are synthetic; `report` says so.

What this file does NOT do: bound leakage. An entity that these probes did not bring out may still be in the
model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from securefl.calls import Answer, Call, Reply, by_name, parse
from securefl.data.dialogues import DESCRIPTION, DOMAINS, Example
from securefl.errors import CallRefused, DataError

Metric = Callable[[Sequence[Example], Sequence[str]], float]
"""Examples and one reply to each: a share from 0 to 1."""


@dataclass(frozen=True)
class Spread:
    """A metric over clients. `worst_decile` is the mean of the worst tenth of them, one client at least."""

    mean: float
    worst_decile: float


def valid_call_rate(examples: Sequence[Example], replies: Sequence[str]) -> float:
    """Share of the wanted calls for which there is a valid call.

    Raises:
        DataError: no example wants a call; lengths differ. So do all metrics here.
    """
    return _mean(float(isinstance(said, Call)) for _, said in _wanted(examples, replies))


def tool_accuracy(examples: Sequence[Example], replies: Sequence[str]) -> float:
    """Share of the wanted calls for which there is a valid call of the right tool."""
    return _mean(
        float(isinstance(said, Call) and said.tool == call.tool) for call, said in _wanted(examples, replies)
    )


def argument_match(examples: Sequence[Example], replies: Sequence[str]) -> float:
    """Mean share of right arguments over the wanted calls; a tool without arguments counts as itself."""
    return _mean(_right_arguments(call, said) for call, said in _wanted(examples, replies))


def whole_call_match(examples: Sequence[Example], replies: Sequence[str]) -> float:
    """Share of the wanted calls that were made exactly."""
    return _mean(float(said == call) for call, said in _wanted(examples, replies))


def no_call_accuracy(examples: Sequence[Example], replies: Sequence[str]) -> float:
    """Share of the requests that no tool fits which were answered in words."""
    return _mean(float(isinstance(said, Answer)) for _, said in _read(examples, replies, "unfit"))


def answer_match(examples: Sequence[Example], replies: Sequence[str]) -> float:
    """Share of the answers after a tool's result that are exactly right."""
    return _mean(float(said == Answer(one.answer)) for one, said in _read(examples, replies, "result"))


METRICS: Mapping[str, Metric] = {
    "valid_calls": valid_call_rate,
    "tool": tool_accuracy,
    "arguments": argument_match,
    "whole_call": whole_call_match,
    "no_call": no_call_accuracy,
    "answer": answer_match,
}


def per_client(metric: Metric, examples: Sequence[Example], replies: Sequence[str]) -> dict[int, float]:
    """A metric for each client alone, clients ascending."""
    _check_lengths(examples, replies)
    own: dict[int, list[int]] = {}
    for at, example in enumerate(examples):
        own.setdefault(example.client, []).append(at)
    return {
        client: metric([examples[at] for at in own[client]], [replies[at] for at in own[client]])
        for client in sorted(own)
    }


def spread(values: Iterable[float]) -> Spread:
    """Mean and worst decile.

    Example:
        >>> spread([1.0] * 18 + [0.0, 0.5])
        Spread(mean=0.925, worst_decile=0.25)

    Raises:
        DataError: no client.
    """
    ordered = sorted(values)
    return Spread(_mean(ordered), _mean(ordered[: math.ceil(len(ordered) / 10)]))


def leakage(replies: Sequence[str], entities: Iterable[str]) -> float:
    """Share of these entities, which whoever asked does not own, that some reply contains.

    Raises:
        DataError: no entity, or no reply.
    """
    if not replies:
        raise DataError("expected replies to probes, got none; ask the model first")
    return _mean(float(any(entity in reply for reply in replies)) for entity in entities)


def report(examples: Sequence[Example], replies: Sequence[str]) -> dict[str, object]:
    """Every metric as mean and worst decile over clients, for people and files, labelled as what it is.

    Raises:
        DataError: a client without an example of a kind.
    """
    scores: dict[str, object] = {}
    for name, metric in METRICS.items():
        found = spread(per_client(metric, examples, replies).values())
        scores[name] = {"mean": found.mean, "worst_decile": found.worst_decile}
    clients = len({example.client for example in examples})
    return {
        "synthetic": True,
        "data": DESCRIPTION,
        "clients": clients,
        "examples": len(examples),
        "metrics": scores,
    }


def _right_arguments(call: Call, said: Reply | None) -> float:
    if not isinstance(said, Call) or said.tool != call.tool:
        return 0.0
    right = [said.arguments[name] == value for name, value in call.arguments.items()]
    return sum(right) / len(right) if right else 1.0


def _wanted(examples: Sequence[Example], replies: Sequence[str]) -> list[tuple[Call, Reply | None]]:
    return [(one.call, said) for one, said in _read(examples, replies, "call") if one.call is not None]


def _read(
    examples: Sequence[Example], replies: Sequence[str], kind: str
) -> list[tuple[Example, Reply | None]]:
    _check_lengths(examples, replies)
    pairs = zip(examples, replies, strict=True)
    return [(one, _reply(one.domain, text)) for one, text in pairs if one.kind == kind]


def _reply(domain: str, text: str) -> Reply | None:
    try:
        return parse(text, _TOOLS[domain])
    except CallRefused:
        return None


_TOOLS = {name: by_name(domain.tools) for name, domain in DOMAINS.items()}


def _mean(values: Iterable[float]) -> float:
    counted = list(values)
    if not counted:
        raise DataError(
            "expected at least one example of the kind that a metric is about, got none; add some"
        )
    return sum(counted) / len(counted)


def _check_lengths(examples: Sequence[Example], replies: Sequence[str]) -> None:
    if len(examples) != len(replies):
        raise DataError(
            f"expected one reply per example, got {len(replies)} for {len(examples)}; answer each"
        )
