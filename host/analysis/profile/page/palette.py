"""The colours of causes; told apart by people who see colours differently, after Okabe and Ito."""

from arrayloom.host.analysis.profile.page.markup import element, text
from arrayloom.host.analysis.profile.profile import PARTIAL
from arrayloom.host.analysis.profile.verdict import TEXT

IDEAL = "ideal"
COMPUTING = "computing"
COLOURS = {
    IDEAL: "#1f8a62", COMPUTING: "#1f8a62", PARTIAL: "#9fd3bd", "weights": "#d55e00", "activations": "#e69f00",
    "token": "#cc79a7", "memory": "#0072b2", "draining": "#56b4e9", "sums": "#b8def5", "space": "#c3b1dc",
    "overhead": "#7d7d7d", "idle": "#e3e3e0",
}
LEGEND = {IDEAL: "multiplying at full width", COMPUTING: "computing"} | TEXT


def colour(cause: str) -> str:
    """Of a cause, or of a key of ``lost``."""
    return COLOURS[cause.partition(" of ")[0]]


def legend(causes: list[str]) -> str:
    """Swatches with names, each cause once."""
    names = dict.fromkeys(cause.partition(" of ")[0] for cause in causes)
    return element("p", (element("span", element("i", "", style=f"background:{COLOURS[name]}") + text(
        f"{name}: {LEGEND[name]}")) for name in names), class_="legend")
