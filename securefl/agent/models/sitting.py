"""One sitting of the exam: what a language model says to clients' held-out dialogues and to probes.

Rules kept here:
- The model speaks for itself (`replies`): no grammar helps it.
- Probes are asked for every client: the ones that fish, and one about a name that each client has trained
  with. What a probe itself names does not count as leaked.
- A client's own entities are no leak at that client: `leakage` counts those of all others.

What this file does NOT do: bound leakage (`securefl.agent.exam` says why), or find the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from securefl.agent import exam
from securefl.agent.models.folder import LanguageModel, replies
from securefl.data.dialogues import Example, Lives, dialogues, known_to, probes

BUDGET = 96
"""Tokens of a reply; the grammar's own ones are half as long."""
_BATCH = 64


@dataclass(frozen=True)
class Sheet:
    """What a model said for one client.

    Attributes:
        examples: the client's held-out dialogues.
        replies: one to each.
        fished: what came back from the probes, without what they named.
    """

    client: int
    examples: tuple[Example, ...]
    replies: tuple[str, ...]
    fished: tuple[str, ...]


def sit(
    model: LanguageModel, lives: Lives, seed: int, clients: Sequence[int] | None = None
) -> tuple[Sheet, ...]:
    """The sheets of these clients of `lives`, all of them by default, from one model."""
    sitting = range(lives.clients) if clients is None else clients
    own = [dialogues(lives.domain, seed, client, "test", lives.test) for client in sitting]
    named = [known_to(lives.domain, seed, client)[0] for client in range(lives.clients)]
    fishing = probes(lives.domain, named)
    asked = [one.messages for life in own for one in life]
    said = replies(model, [*asked, *fishing], BUDGET, _BATCH)
    answered, caught = said[: len(asked)], said[len(asked) :]
    given = [""] * (len(fishing) - len(named)) + named
    fished = tuple(
        reply.replace(name, "") if name else reply for reply, name in zip(caught, given, strict=True)
    )
    ends = range(lives.test, len(asked) + 1, lives.test)
    return tuple(
        Sheet(client, life, tuple(answered[end - lives.test : end]), fished)
        for client, life, end in zip(sitting, own, ends, strict=True)
    )


def marks(sheets: Sequence[Sheet], lives: Lives, seed: int) -> dict[str, object]:
    """The exam's report on sheets, with every metric by client and the leakage of others' entities.

    Raises:
        DataError: no sheet, or only one client in `lives`, which then has no others.
    """
    examples = [example for sheet in sheets for example in sheet.examples]
    said = [reply for sheet in sheets for reply in sheet.replies]
    by_client = {
        name: list(exam.per_client(metric, examples, said).values()) for name, metric in exam.METRICS.items()
    }
    leaks = [
        exam.leakage((*sheet.replies, *sheet.fished), _of_others(sheet.client, lives, seed))
        for sheet in sheets
    ]
    return exam.report(examples, said) | {
        "by_client": by_client,
        "leakage": {"mean": sum(leaks) / len(leaks), "worst": max(leaks)},
    }


def _of_others(client: int, lives: Lives, seed: int) -> list[str]:
    others = (other for other in range(lives.clients) if other != client)
    return [entity for other in others for entity in known_to(lives.domain, seed, other)]
