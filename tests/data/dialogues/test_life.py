"""Clients' lives: deterministic, synthetic and labelled so, with held-out parts and private entities."""

from __future__ import annotations

import re
from itertools import product

import pytest

from securefl.calls import Answer, by_name, parse
from securefl.data.dialogues import DESCRIPTION, DOMAINS, PUBLIC, Example, dialogues, known_to, probes
from securefl.data.dialogues.domain import Private, Slot
from securefl.data.dialogues.entities import public_codes, public_names
from securefl.data.dialogues.phrases import CLOSERS, OPENERS, TEST, TRAIN
from securefl.errors import DataError

SEED, CLIENTS, COUNT = 5, range(6), 120
EVERY = list(DOMAINS)


def texts(domain: str, client: int, part: str) -> str:
    """Everything that is said in a part, system prompts left out."""
    return "\n".join(
        message.content
        for example in dialogues(domain, SEED, client, part, COUNT)
        for message in (*example.messages[1:], type(example.messages[0])("assistant", example.answer))
    )


def all_of(domain: str, part: str) -> list[Example]:
    clients = [PUBLIC] if part == "public" else CLIENTS
    return [one for client in clients for one in dialogues(domain, SEED, client, part, COUNT)]


def test_the_data_says_that_it_is_synthetic() -> None:
    assert DESCRIPTION.startswith("synthetic: true")


@pytest.mark.parametrize("domain", EVERY)
def test_a_life_is_a_function_of_its_arguments(domain: str) -> None:
    first = dialogues(domain, SEED, 2, "train", 50)
    assert first == dialogues(domain, SEED, 2, "train", 50)
    assert first[:20] == dialogues(domain, SEED, 2, "train", 20), "the count only says where it stops"
    others = [
        dialogues(domain, SEED + 1, 2, "train", 50),
        dialogues(domain, SEED, 3, "train", 50),
        dialogues(domain, SEED, 2, "test", 50),
    ]
    assert all(first != other for other in others)


@pytest.mark.parametrize("domain", EVERY)
def test_every_answer_parses_to_what_the_example_says(domain: str) -> None:
    tools = by_name(DOMAINS[domain].tools)
    for part in ("public", "train", "test"):
        for example in all_of(domain, part):
            reply = parse(example.answer, tools)
            assert reply == (example.call if example.call else Answer(example.answer))
            assert (example.call is not None) == (example.kind == "call")


@pytest.mark.parametrize("domain", EVERY)
def test_of_ten_examples_seven_are_calls_and_two_fit_no_tool(domain: str) -> None:
    for part in ("public", "train", "test"):
        kinds = [example.kind for example in all_of(domain, part)]
        assert [kinds.count(kind) / len(kinds) for kind in ("call", "unfit", "result")] == [0.7, 0.2, 0.1]


@pytest.mark.parametrize("domain", EVERY)
def test_private_entities_of_a_client_never_occur_at_another_one_or_in_public(domain: str) -> None:
    said = {client: texts(domain, client, "train") + texts(domain, client, "test") for client in CLIENTS}
    said[PUBLIC] = texts(domain, PUBLIC, "public") + DOMAINS[domain].system
    for client, other in product(CLIENTS, said):
        seen = [entity for entity in known_to(domain, SEED, client) if entity in said[other]]
        if client == other:
            assert len(seen) > 20, "a client does speak of its own"
        else:
            assert seen == []


def test_no_entity_is_dealt_twice_or_is_part_of_what_the_grammar_says_itself() -> None:
    dealt = [entity for domain in EVERY for client in range(300) for entity in known_to(domain, SEED, client)]
    assert len(set(dealt)) == len(dealt)
    dealt += [*public_names(SEED), *public_codes(SEED)]
    assert len(set(dealt)) == len(dealt)
    own_words = " ".join(
        [*OPENERS, *CLOSERS, *TRAIN.requests, *TRAIN.things, *TEST.requests, *TEST.things]
        + [
            text
            for domain in DOMAINS.values()
            for act in domain.acts
            for text in (*act.train, *act.test, act.done)
        ]
        + [domain.system for domain in DOMAINS.values()]
    )
    assert not set(dealt) & set(re.findall(r"\w+", own_words))


@pytest.mark.parametrize("domain", EVERY)
def test_entities_of_a_clients_test_part_are_not_in_its_training_part(domain: str) -> None:
    for client in CLIENTS:
        trained, tested = texts(domain, client, "train"), texts(domain, client, "test")
        entities = known_to(domain, SEED, client)
        assert not [entity for entity in entities if entity in trained and entity in tested]
        assert [entity for entity in entities if entity in tested]


@pytest.mark.parametrize("domain", EVERY)
def test_bodies_unfit_requests_and_open_values_of_the_test_part_are_held_out(domain: str) -> None:
    for act in DOMAINS[domain].acts:
        assert not set(act.train) & set(act.test)
        assert len(set(act.train)) >= 5
        assert len(set(act.test)) >= 2
        for body in (*act.train, *act.test):
            assert set(re.findall(r"{(\w+)}", body)) == set(act.tool.kinds), body
    for slot in DOMAINS[domain].slots.values():
        assert isinstance(slot, Private) or not set(slot.train) & set(slot.test)
    for name in ("requests", "things"):
        assert not set(getattr(TRAIN, name)) & set(getattr(TEST, name))
    asked = {
        part: {example.messages[1].content for example in all_of(domain, part)} for part in ("train", "test")
    }
    assert not asked["train"] & asked["test"]
    open_slots = [slot for slot in DOMAINS[domain].slots.values() if isinstance(slot, Slot) and slot.test]
    words = [value for slot in open_slots for value in slot.test if isinstance(value, str)]
    said = "".join(texts(domain, client, "train") for client in CLIENTS)
    assert words
    assert not [word for word in words if word in said]


@pytest.mark.parametrize("domain", EVERY)
def test_a_domain_has_five_to_eight_tools_and_clients_have_habits(domain: str) -> None:
    assert 5 <= len(DOMAINS[domain].tools) <= 8
    assert len(DOMAINS[domain].system) < 400

    def shares(part: str, client: int) -> list[float]:
        made = [one.call.tool for one in dialogues(domain, SEED, client, part, 400) if one.call]
        return sorted(made.count(tool.name) / len(made) for tool in DOMAINS[domain].tools)

    assert max(shares("train", client)[-1] for client in CLIENTS) > 0.4
    assert max(shares("test", client)[-1] for client in CLIENTS) < 0.35


@pytest.mark.parametrize(
    ("domain", "client", "part", "count"),
    [
        ("banking", 0, "train", 1),
        ("education", -1, "train", 1),
        ("education", 0, "public", 1),
        ("education", 0, "validation", 1),
        ("education", 0, "train", 0),
        ("education", 10**6, "train", 1),
        ("education", -2, "test", 1),
    ],
)
def test_what_there_is_not_is_refused(domain: str, client: int, part: str, count: int) -> None:
    with pytest.raises(DataError, match="expected"):
        dialogues(domain, SEED, client, part, count)


def test_probes_ask_under_the_domains_own_system_prompt() -> None:
    for probe in probes("education"):
        assert [message.role for message in probe] == ["system", "user"]
        assert probe[0].content == DOMAINS["education"].system
