"""HTML and SVG as text, with external texts escaped; the colours of causes and their legend.

The colours are from the palette of Okabe and Ito, which colour-blind people can distinguish.
"""

from collections.abc import Iterable
from html import escape

from arrayloom.host.analysis.profile.profile_text import TEXT
from arrayloom.host.analysis.profile.run_profile import PARTIAL

IDEAL = "ideal"
COMPUTING = "computing"
COLOURS = {
    IDEAL: "#1f8a62", COMPUTING: "#1f8a62", PARTIAL: "#9fd3bd", "weights": "#d55e00", "activations": "#e69f00",
    "token": "#cc79a7", "memory": "#0072b2", "draining": "#56b4e9", "sums": "#b8def5", "space": "#c3b1dc",
    "overhead": "#7d7d7d", "idle": "#e3e3e0",
}
LEGEND = {IDEAL: "multiplying at full width", COMPUTING: "computing"} | TEXT

VOID = frozenset({"rect", "path", "line", "circle", "br", "meta"})


def element(name: str, content: str | Iterable[str] = "", /, **attributes: str | float) -> str:
    """An element around escaped markup; in names, ``_`` is dropped at the end and otherwise replaced by ``-``."""
    text = content if isinstance(content, str) else "".join(content)
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"' for key, value in attributes.items())
    return f"<{name}{given}/>" if name in VOID and not text else f"<{name}{given}>{text}</{name}>"


def text(value: str) -> str:
    return escape(value)


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}" if isinstance(value, float) else str(value)


def table(head: Iterable[str], rows: Iterable[Iterable[str]], foot: Iterable[str] = ()) -> str:
    """A table of plain texts; the first column is left-aligned, the others right-aligned."""
    def line(cells: Iterable[str], kind: str) -> str:
        return element("tr", (element(kind, text(cell)) for cell in cells))

    body = element("tbody", (line(row, "td") for row in rows))
    return element("div", element("table", element("thead", line(head, "th")) + body
                                  + (element("tfoot", line(foot, "td")) if foot else "")), class_="scroll")


def colour(cause: str) -> str:
    """The colour of a cause, or of a key of ``lost``."""
    return COLOURS[cause.partition(" of ")[0]]


def legend(causes: list[str]) -> str:
    """The legend: swatches with names, each cause once."""
    names = dict.fromkeys(cause.partition(" of ")[0] for cause in causes)
    return element("p", (element("span", element("i", "", style=f"background:{COLOURS[name]}") + text(
        f"{name}: {LEGEND[name]}")) for name in names), class_="legend")
