"""docs/attacks.md is kept in step with the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from securefl.attacks import ATTACKS, named_attack

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "attacks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ATTACKS)
def test_the_page_states_what_each_attack_needs_and_its_source(name: str) -> None:
    attack = named_attack(name)
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
    _, poisons, needs, source = (part.strip() for part in line.strip("|").split("|"))
    assert ("data" in poisons, "model" in poisons) == (attack.poison is not None, attack.begin is not None)
    assert needs == ", ".join(sorted(attack.needs))
    assert source == attack.source


def test_the_page_has_no_attack_that_the_table_lacks() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) == len(ATTACKS)
