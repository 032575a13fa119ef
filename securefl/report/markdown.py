"""The small part of Markdown that a guarantee card uses, as HTML that is always escaped.

Rules kept here: every character of the source is escaped before any tag is put around it, so no
source can add markup; links stay text, so the page asks nobody for anything.

Understood: headings, paragraphs, bullet and numbered lists (one level), block quotes, fenced code,
pipe tables, **strong**, *emphasis*, `code`. What this file does NOT do: nested lists, images, raw HTML.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

_LIST = re.compile(r"\s*(?:[-*+]|(\d+)[.)])\s+(.*)")
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_TABLE_RULE = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?$")
# On the page the card sits below an <h2>, so its own headings start one level further down.
_HEADING_SHIFT = 2


def to_html(source: str) -> str:
    """`source` as HTML blocks.

    Example:
        >>> to_html("Epsilon is **8** <script>")
        '<p>Epsilon is <strong>8</strong> &lt;script&gt;</p>'
    """
    lines = source.replace("\r\n", "\n").split("\n")
    blocks: list[str] = []
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        block, at = _block(lines, at)
        blocks.append(block)
    return "\n".join(blocks)


def _block(lines: list[str], at: int) -> tuple[str, int]:
    """The block that starts at line `at`, and the line after it."""
    line = lines[at]
    if line.startswith("```"):
        return _code(lines, at)
    heading = _HEADING.fullmatch(line)
    if heading:
        level = min(6, len(heading[1]) + _HEADING_SHIFT)
        return f"<h{level}>{_inline(heading[2])}</h{level}>", at + 1
    if line.startswith(">"):
        quoted, after = _take(lines, at, lambda text: text.startswith(">"))
        return f"<blockquote>{to_html(chr(10).join(text[1:].strip() for text in quoted))}</blockquote>", after
    if "|" in line and at + 1 < len(lines) and _TABLE_RULE.fullmatch(lines[at + 1].strip()):
        return _table(lines, at)
    if _LIST.fullmatch(line):
        return _list(lines, at)
    text, after = _take(lines, at, _continues_paragraph)
    return f"<p>{_inline(' '.join(part.strip() for part in text))}</p>", after


def _code(lines: list[str], at: int) -> tuple[str, int]:
    body, after = _take(lines, at + 1, lambda text: not text.startswith("```"), at_least=0)
    return f"<pre>{html.escape(chr(10).join(body))}</pre>", after + 1


def _list(lines: list[str], at: int) -> tuple[str, int]:
    first = _LIST.fullmatch(lines[at])
    tag = "ol" if first and first[1] else "ul"
    items: list[str] = []
    while at < len(lines) and lines[at].strip():
        match = _LIST.fullmatch(lines[at])
        if match:
            items.append(match[2])
        elif _continues_paragraph(lines[at]):
            items[-1] += " " + lines[at].strip()
        else:
            break
        at += 1
    return f"<{tag}>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</{tag}>", at


def _table(lines: list[str], at: int) -> tuple[str, int]:
    rows, after = _take(lines, at + 2, lambda text: "|" in text, at_least=0)
    head = "".join(f"<th>{_inline(cell)}</th>" for cell in _cells(lines[at]))
    body = "".join(
        "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in _cells(row)) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", after


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().removeprefix("|").removesuffix("|").split("|")]


def _take(
    lines: list[str], at: int, belongs: Callable[[str], bool], at_least: int = 1
) -> tuple[list[str], int]:
    """Lines from `at` on for as long as they belong; the first `at_least` always do."""
    end = at + at_least
    while end < len(lines) and belongs(lines[end]):
        end += 1
    return lines[at:end], end


def _continues_paragraph(line: str) -> bool:
    starts_block = line.startswith(("```", ">")) or _HEADING.fullmatch(line) or _LIST.fullmatch(line)
    return bool(line.strip()) and not starts_block


def _inline(text: str) -> str:
    """Escaped text with code, strong and emphasis; nothing inside code is looked at again."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        f"<code>{html.escape(part[1:-1])}</code>" if _is_code(part) else _emphasis(html.escape(part))
        for part in parts
    )


def _is_code(part: str) -> bool:
    return len(part) > 2 and part.startswith("`") and part.endswith("`")


def _emphasis(escaped: str) -> str:
    strong = re.sub(r"\*\*(?=\S)(.+?)(?<=\S)\*\*", r"<strong>\1</strong>", escaped)
    return re.sub(r"(?<![\w*])\*(?=\S)([^*]+?)(?<=\S)\*(?![\w*])", r"<em>\1</em>", strong)
