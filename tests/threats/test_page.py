from __future__ import annotations

import re

from securefl.threats import Finding, page


def test_the_page_asks_nobody_for_anything(findings: list[Finding]) -> None:
    html = page(findings, "made today")
    assert not re.findall(r"(?:src|href)=['\"](?!#)|url\(|@import|<script|<link", html)


def test_what_comes_from_files_is_escaped(findings: list[Finding]) -> None:
    html = page(findings, "made <today>")
    assert "Labels &amp; &lt;secrets&gt;." in html and "1 &lt; 2, tested." in html
    assert "<secrets>" not in html and "<today>" not in html


def test_each_claim_stands_with_its_verdict_budget_and_what_it_is_not(findings: list[Finding]) -> None:
    html = page(findings, "")
    for text in (
        "HOLDS",
        "REFUTED",
        "INCONCLUSIVE",
        "NOT TESTED",
        "confidence 0.9",
        "60 samples",
        "It sees the sum of a group.",
        "Side channels of machines.",
        "no: shows nothing",
        "label_from_message at seed 1 did harm 1",
    ):
        assert text in html, text
