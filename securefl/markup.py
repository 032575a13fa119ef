"""What our HTML pages share: the frame of a page that asks nobody for anything, and tables.

Rules kept here: a page is one file without scripts, under a policy that allows none and no address of another
host.

What this file does NOT do: escape bodies and cells. They are markup; whoever makes them escapes what is text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def page(title: str, css: str, body: str) -> str:
    """A whole page. `title` is text; `css` and `body` stand as they are."""
    return _PAGE.format(title=escape(title), css=css, body=body)


def table(columns: Sequence[str], rows: Iterable[Iterable[str]], cell: str = "<td>") -> str:
    """A table that scrolls by itself. `columns` are text, the cells of `rows` markup.

    Args:
        columns: the heads.
        rows: the cells, row by row.
        cell: the tag that opens a cell.

    Example:
        >>> "<th>a &lt; b</th>" in table(["a < b"], [["<b>yes</b>"]])
        True
    """
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"{cell}{one}</td>" for one in row) + "</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
