"""What all our HTML pages share."""

from __future__ import annotations

from securefl import markup


def test_a_page_escapes_its_title_and_forbids_scripts_and_other_hosts() -> None:
    page = markup.page("<run> & co", "b { color: red }", "<b>body</b>")
    assert "<title>&lt;run&gt; &amp; co</title>" in page
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert "<style>b { color: red }</style>" in page and "<b>body</b>" in page


def test_a_table_escapes_its_heads_and_leaves_its_cells_to_the_caller() -> None:
    made = markup.table(["a < b"], [["<b>1</b>", "2"]], cell="<td class=number>")
    assert "<th>a &lt; b</th>" in made
    assert "<td class=number><b>1</b></td><td class=number>2</td>" in made
