"""The card's Markdown becomes HTML, and nothing in it can become markup of its own."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.report.markdown import to_html

OWN_TAGS = {
    "p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "pre", "code", "strong", "em", "blockquote",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes.extend(attrs)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# Card", "<h3>Card</h3>"),
        ("###### Deep", "<h6>Deep</h6>"),
        ("one\ntwo\n\nthree", "<p>one two</p>\n<p>three</p>"),
        ("- a\n- b\n  more", "<ul><li>a</li><li>b more</li></ul>"),
        ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        ("> said\n> twice", "<blockquote><p>said twice</p></blockquote>"),
        ("```\na < b\n```", "<pre>a &lt; b</pre>"),
        ("```\nnever closed", "<pre>never closed</pre>"),
        ("`a*b*` **c** *d*", "<p><code>a*b*</code> <strong>c</strong> <em>d</em></p>"),
        ("2 * 3 * 4", "<p>2 * 3 * 4</p>"),
        (
            "| a | b |\n|---|:-:|\n| 1 | `x` |",
            "<table><thead><tr><th>a</th><th>b</th></tr></thead>"
            "<tbody><tr><td>1</td><td><code>x</code></td></tr></tbody></table>",
        ),
        ("", ""),
    ],
)
def test_what_a_card_uses_is_understood(source: str, expected: str) -> None:
    assert to_html(source) == expected


@given(st.text(alphabet=st.sampled_from("<>&\"'`*|#->1. \n\tab/=scriptonload"), max_size=120))
def test_no_source_adds_a_tag_or_an_attribute_of_its_own(source: str) -> None:
    tags = Tags()
    tags.feed(to_html(source))
    assert tags.seen <= OWN_TAGS
    assert not tags.attributes
