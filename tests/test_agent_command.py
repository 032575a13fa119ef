"""`securefl agent` as a person or a program meets it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from securefl.calls import Message
from securefl.cli import app

CALL = '{"tool": "call_contact", "arguments": {"contact": "Ku\x9bzori"}}'


def securefl(*words: object, given: str = "") -> Result:
    return CliRunner().invoke(app, ["agent", *(str(word) for word in words)], input=given)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Sequence[Message]]]:
    """Replaces the model by one that says what it is told to; returns what it heard."""

    def script(*replies: str) -> list[Sequence[Message]]:
        from securefl.agent import models

        left, heard = list(replies), []

        def generate(messages: Sequence[Message]) -> str:
            heard.append(messages)
            return left.pop(0)

        monkeypatch.setattr(models, "load", lambda folder, adapter, gguf: None)
        monkeypatch.setattr(models, "generator", lambda model, tools: generate)
        return heard

    return script


def test_questions_are_answered_and_calls_are_shown(scripted: Callable[..., object], tmp_path: Path) -> None:
    heard = scripted(CALL, "Calling.", "Good-bye.")
    result = securefl(tmp_path, given="call Kuzori\nbye\n")
    assert result.exit_code == 0, result.output
    assert "synthetic" in result.stdout
    assert "Calling." in result.stdout
    assert "Good-bye." in result.stdout
    assert '"call_contact"' in result.stdout
    assert "\x9b" not in result.stdout, "no control character reaches the terminal"
    assert [message.role for message in heard[-1]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]


def test_a_limit_ends_a_turn_and_not_the_conversation(
    scripted: Callable[..., object], tmp_path: Path
) -> None:
    scripted(CALL, "Still here.")
    result = securefl(tmp_path, "--per-conversation", 0, given="call Kuzori\nhello\n")
    assert result.exit_code == 0
    assert "LimitReached: terminal: expected at most 0 calls" in result.stdout
    assert "Still here." in result.stdout


def test_notes_are_kept_and_recalled(scripted: Callable[..., object], tmp_path: Path) -> None:
    heard = scripted("Tuesday.")
    notes = tmp_path / "notes.jsonl"
    result = securefl(tmp_path, "--notes", notes, given="/remember violin is on Tuesday\nwhen is violin?\n")
    assert result.exit_code == 0, result.output
    assert "violin is on Tuesday" in notes.read_text()
    assert 'notes: ["violin is on Tuesday"]' in [message.content for message in heard[0]]


def test_a_folder_without_a_language_model_and_an_unknown_domain_are_bad_input(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    result = securefl(tmp_path)
    assert result.exit_code == 2
    assert "expected a folder with a causal language model" in result.stderr
    assert "securefl export" in result.stderr
    result = securefl(tmp_path, "--domain", "banking")
    assert result.exit_code == 2
    assert "virtual_assistant" in result.stderr


def test_without_transformers_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "securefl.agent.models", None)
    result = securefl(tmp_path)
    assert result.exit_code == 2
    assert "securefl[lora]" in result.stderr


@pytest.mark.slow
def test_a_small_model_talks(tmp_path: Path) -> None:
    from securefl.agent.models import small_model

    result = securefl(small_model(tmp_path / "small", seed=1, context=640), given="call Kuzori\n")
    assert result.exit_code == 0, result.output
