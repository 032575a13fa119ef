from __future__ import annotations

import pytest

from securefl.errors import ConfigError
from securefl.threats import ThreatModel
from securefl.threats.table import BEGIN, END, render, replaced


def test_the_table_has_a_row_per_claim(model: ThreatModel) -> None:
    assert render([model]).splitlines()[2] == (
        "| `listener`: curious server | A server that listens learns no label. | `label_from_message` | "
        "part of the clients whose most frequent class is named: at most 0.6; defence off: at least 0.4 |"
    )


def test_only_what_stands_between_the_markers_is_replaced(model: ThreatModel) -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    new = replaced(document, [model])
    assert new == f"before\n{BEGIN}\n{render([model])}\n{END}\nafter\n"
    assert replaced(new, [model]) == new


@pytest.mark.parametrize("document", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_document_without_its_markers_is_refused(model: ThreatModel, document: str) -> None:
    with pytest.raises(ConfigError, match="marker"):
        replaced(document, [model])
