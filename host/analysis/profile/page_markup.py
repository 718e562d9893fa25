"""HTML and SVG as text, with what comes from outside escaped."""

from collections.abc import Iterable
from html import escape

VOID = frozenset({"rect", "path", "line", "circle", "br", "meta"})


def element(name: str, content: str | Iterable[str] = "", /, **attributes: str | float) -> str:
    """An element around markup that is escaped already; ``_`` ends a name that Python keeps, and stands for ``-``."""
    text = content if isinstance(content, str) else "".join(content)
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"' for key, value in attributes.items())
    return f"<{name}{given}/>" if name in VOID and not text else f"<{name}{given}>{text}</{name}>"


def text(value: str) -> str:
    return escape(value)


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}" if isinstance(value, float) else str(value)


def table(head: Iterable[str], rows: Iterable[Iterable[str]], foot: Iterable[str] = ()) -> str:
    """A table of plain texts; the first column is on the left, the others on the right."""
    def line(cells: Iterable[str], kind: str) -> str:
        return element("tr", (element(kind, text(cell)) for cell in cells))

    body = element("tbody", (line(row, "td") for row in rows))
    return element("div", element("table", element("thead", line(head, "th")) + body
                                  + (element("tfoot", line(foot, "td")) if foot else "")), class_="scroll")
