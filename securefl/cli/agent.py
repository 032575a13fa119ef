"""`securefl agent`: a conversation with a language model that may call tools."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from securefl.cli import output

if TYPE_CHECKING:
    from securefl.agent import Desk, Generate, Memory
    from securefl.calls import Message

CALLER = "terminal"
_REMEMBER = "/remember "


def agent(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="DIR",
            help="Folder with a causal language model, as save_pretrained writes it or with a GGUF file; or "
            "package:NAME/FOLDER of an installed package.",
        ),
    ],
    domain: Annotated[
        str, typer.Option(help="Whose simulated tools it may call: customer_service, virtual_assistant, ...")
    ] = "virtual_assistant",
    adapter: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with a peft adapter.")] = None,
    gguf: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the GGUF file in DIR.")] = None,
    notes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Your notes; `/remember TEXT` adds one. They stay here."),
    ] = None,
    per_minute: Annotated[int, typer.Option(min=0, help="Most calls in a minute.")] = 20,
    per_conversation: Annotated[int, typer.Option(min=0, help="Most calls in all.")] = 50,
) -> None:
    """Talk to a language model; its calls are valid or not made, and limited. One line is one question."""
    with output.told(as_json=False):
        from securefl.agent import Limits, Registry
        from securefl.errors import NotAvailable

        try:
            from securefl.agent.models import generator, load
        except ImportError as error:
            raise NotAvailable(
                f"expected transformers and peft, got none ({error}); pip install 'securefl[lora]'"
            ) from error
        from securefl.calls import Message
        from securefl.data.dialogues import named
        from securefl.training.lora import place_of

        chosen = named(domain)
        registry = Registry(
            ((act.tool, act.result) for act in chosen.acts), {CALLER: Limits(per_minute, per_conversation)}
        )
        memory = None if notes is None else _memory(notes)
        generate = generator(load(Path(place_of(folder)), adapter, gguf), chosen.tools)
        console = Console()
        console.print(f"{domain}: synthetic tools that change nothing. An empty line ends.", markup=False)
        system = Message("system", chosen.system)
        _converse(console, generate, registry.open(CALLER), [system], memory)


def _converse(
    console: Console, generate: Generate, desk: Desk, said: list[Message], memory: Memory | None
) -> None:
    from securefl.agent import take_turn, with_notes
    from securefl.calls import Message
    from securefl.errors import AgentError, DataError

    for line in _lines(console):
        try:
            if memory is not None and line.startswith(_REMEMBER):
                memory.remember(line.removeprefix(_REMEMBER))
                console.print(f"{len(memory)} notes")
                continue
            asked = (*said, Message("user", line))
            turn = take_turn(generate, desk, asked if memory is None else with_notes(asked, memory))
        except (AgentError, DataError) as error:
            _say(console, f"{type(error).__name__}: {error}", "red")
            continue
        for call in turn.calls:
            _say(console, call.text, "dim")
        _say(console, turn.answer, "")
        said[:] = turn.messages


def _lines(console: Console) -> Iterator[str]:
    ask: Callable[[], str] = (lambda: console.input("> ")) if sys.stdin.isatty() else sys.stdin.readline
    while True:
        try:
            line = ask().strip()
        except (EOFError, KeyboardInterrupt):
            return
        if not line:
            return
        yield line


def _say(console: Console, text: str, style: str) -> None:
    """Text from a model or a tool: no markup, no control characters."""
    from securefl.calls import is_prose

    shown = "".join(character if is_prose(character) else "\N{REPLACEMENT CHARACTER}" for character in text)
    console.print(Text(shown, style=style), soft_wrap=True)


def _memory(notes: Path) -> Memory:
    from securefl.agent import Memory, hashed
    from securefl.agent.models.sentence_encoder import sentence_encoder
    from securefl.errors import DataError

    try:
        embed = sentence_encoder()
    except DataError:  # the package is optional; hashed words find notes too, less well
        embed = hashed
    return Memory(embed, notes)
