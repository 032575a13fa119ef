"""`securefl init` and `securefl schema`: a config to begin with, and help for editing it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from securefl.cli import output
from securefl.cli.arguments import Json


def init(
    template: Annotated[
        str, typer.Argument(metavar="[TEMPLATE]", help="quickstart, no_privacy, fashion_mnist, ...")
    ] = "quickstart",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write; default TEMPLATE.yaml.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the templates instead.")] = False,
    as_json: Json = False,
) -> None:
    """Write a commented config to edit (--list names the templates). Never writes over a file."""
    with output.told(as_json):
        names = templates()
        if show:
            output.print_json(names) if as_json else output.print_text("\n".join(names))
            return
        target = Path(f"{template}.yaml") if out is None else out
        _write_new(target, template_text(template))
        if as_json:
            output.print_json({"config": str(target)})
        else:
            output.print_text(f"Wrote {target}. Next: securefl check {target}, then securefl run {target}")


def schema(as_json: Json = False) -> None:
    """Print the JSON Schema of a config, for editors: JSON with or without --json."""
    from securefl import config as configuration

    del as_json  # accepted like everywhere else; a schema has no other form
    output.print_json(configuration.schema())


def templates() -> list[str]:
    """Names of the templates that come with the package."""
    files = resources.files("securefl").joinpath("templates").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def template_text(name: str) -> str:
    """The YAML text of a template.

    Raises:
        ConfigError: there is no such template.
    """
    from securefl.errors import ConfigError

    if name not in templates():
        from difflib import get_close_matches

        near = get_close_matches(name, templates(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(templates())}"
        raise ConfigError(f"expected the name of a template, got {name!r}; {hint}")
    return resources.files("securefl").joinpath("templates", f"{name}.yaml").read_text(encoding="utf-8")


def _write_new(target: Path, text: str) -> None:
    from securefl.errors import ConfigError

    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{target}: expected a new file, got one that exists; name another with --out, or remove it first"
        ) from None
    except OSError as cause:
        raise ConfigError(
            f"{target}: expected a file in a folder that exists and is writable, got {cause.strerror}; make "
            "the folder or name another file with --out"
        ) from None
