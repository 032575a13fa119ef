"""The table of claims for a document of people, between two marker lines, generated from the files.

Rules kept here: it holds what is claimed and how it is tested, and no verdict: that is for whoever runs
`securefl verify`. Rendering is a pure function, so a test can hold a document in step.

    python -m securefl.threats.table SECURITY.md threat_models
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from securefl.errors import ConfigError
from securefl.run_directory import write_atomically
from securefl.threats import words
from securefl.threats.document import load_all
from securefl.threats.model import Measured, Proof, ThreatModel

BEGIN = "<!-- claims: generated from threat_models/ by securefl.threats.table; do not edit by hand -->"
END = "<!-- end of claims -->"


def render(models: Sequence[ThreatModel]) -> str:
    """The table as Markdown, without the markers."""
    lines = ["| Adversary | Claim | Tested by | Bound |", "|---|---|---|---|"]
    for model in models:
        who = f"`{model.id}`: {model.adversary.behaviour} {model.adversary.role}"
        lines += [f"| {who} | {claim.sentence} | {_how(claim)} | {_bound(claim)} |" for claim in model.claims]
    return "\n".join(lines)


def replaced(document: str, models: Sequence[ThreatModel]) -> str:
    """The document with the present table between its markers.

    Raises:
        ConfigError: it does not have both markers, once each and in order.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ConfigError("expected a document with one begin and one end marker of the table of claims")
    return f"{before}{BEGIN}\n{render(models)}\n{END}{after}"


def _how(claim: Measured | Proof) -> str:
    if isinstance(claim, Proof):
        files = dict.fromkeys(node.partition("::")[0] for node in claim.tests)
        return f"{len(claim.tests)} tests in {', '.join(f'`{file}`' for file in files)}"
    return ", ".join(f"`{one.label}`" for one in claim.attacks)


def _bound(claim: Measured | Proof) -> str:
    if isinstance(claim, Proof):
        return "none fails"
    return f"{words.meaning(claim)}: at most {claim.bound:g}; defence off: at least {claim.control.bound:g}"


def main(words_given: Sequence[str]) -> None:
    """Writes the table of the second path's threat models into the first one's document."""
    document, folder = (Path(one) for one in words_given)
    write_atomically(document, replaced(document.read_text(encoding="utf-8"), load_all(folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
