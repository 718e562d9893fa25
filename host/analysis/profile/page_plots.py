"""The plots of layers: the array's cycles of each, ideal and lost, and the roofline.

The roofline shows each layer's intensity and the multiply-accumulates per cycle that it reached.
"""

import math
from collections.abc import Iterator

from arrayloom.host.analysis.profile.page_markup import IDEAL, colour, element, legend, text
from arrayloom.host.analysis.profile.profile_text import short
from arrayloom.host.analysis.profile.run_profile import LayerProfile, Profile

NAME, BAR, NUMBER = 270, 640, 190      # widths
ROW = 20                                # height

WIDTH, HEIGHT = 900, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 20, 48
LARGEST, SMALLEST = 16.0, 3.0       # radii; the area is the layer's share of the cycles
ARRAY_COLOUR, BUS_COLOUR = "#1f8a62", "#d55e00"


def utilization(profile: Profile) -> str:
    """One bar for each layer: its length is relative to the longest layer, and its parts are causes."""
    layers = [layer for layer in profile.layers if layer.array_cycles]
    longest = max(layer.array_cycles for layer in layers)
    causes = [IDEAL, *profile.lost]
    height = ROW * len(layers) + 4
    rows = "".join(_row(layer, number, longest) for number, layer in enumerate(layers))
    return element("svg", rows, viewBox=f"0 0 {NAME + BAR + NUMBER} {height}", width=NAME + BAR + NUMBER, height=height,
                   role="img", aria_label="Utilization by layer", xmlns="http://www.w3.org/2000/svg") + legend(causes)


def _row(layer: LayerProfile, number: int, longest: int) -> str:
    middle = ROW * number + ROW / 2
    name = element("text", text(short(layer.name, 36)), x=NAME - 8, y=middle + 4, text_anchor="end", font_size=11)
    share = f"{layer.utilization or 0:.1%} of {layer.array_cycles:,}"
    number_text = element("text", text(share), x=NAME + BAR * layer.array_cycles / longest + 6, y=middle + 4, font_size=11)
    return element("g", element("title", text(_tooltip(layer))) + name + _bar(layer, middle, longest) + number_text)


def _bar(layer: LayerProfile, middle: float, longest: int) -> str:
    parts, place = [], float(NAME)
    for cause, cycles in ((IDEAL, layer.ideal_cycles), *layer.lost.items()):
        width = BAR * max(cycles, 0) / longest
        if width:
            parts.append(element("rect", x=place, y=middle - 7, width=width, height=14, fill=colour(cause)))
        place += width
    return "".join(parts)


def _tooltip(layer: LayerProfile) -> str:
    lines = [f"{layer.name} ({layer.row.operator or 'no layer'})", f"{layer.macs:,} multiply-accumulates",
             f"ideal: {layer.ideal_cycles:,.0f} cycles"]
    return "\n".join([*lines, *(f"{cause}: {cycles:,.0f} cycles" for cause, cycles in layer.lost.items())])


class _Axes:
    """Logarithmic axes around the points and the ridge."""

    def __init__(self, profile: Profile, layers: list[LayerProfile]) -> None:
        roof = profile.roofline
        across = [roof.ridge, *(layer.intensity or 1 for layer in layers)]
        up = [roof.multipliers, *(layer.macs_per_cycle or 1 for layer in layers)]
        self.low_x, self.high_x = min(across) / 2, max(across) * 2
        self.low_y, self.high_y = min([roof.ceiling(self.low_x), *up]) / 1.5, max(up) * 2

    def x(self, intensity: float) -> float:
        share = math.log(intensity / self.low_x) / math.log(self.high_x / self.low_x)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, rate: float) -> float:
        share = math.log(rate / self.low_y) / math.log(self.high_y / self.low_y)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def roofline(profile: Profile) -> str:
    layers = [layer for layer in profile.layers if layer.intensity and layer.macs_per_cycle]
    if not layers:
        return element("p", "No layer multiplies and moves bytes.")
    axes = _Axes(profile, layers)
    points = "".join(_point(layer, axes, profile.cycles) for layer in sorted(layers, key=lambda one: -one.array_cycles))
    return element("svg", _grid(axes) + _ceilings(profile, axes) + points, viewBox=f"0 0 {WIDTH} {HEIGHT}", width=WIDTH,
                   height=HEIGHT, role="img", aria_label="Roofline", xmlns="http://www.w3.org/2000/svg")


def _grid(axes: _Axes) -> str:
    shapes = []
    for value in _ticks(axes.low_x, axes.high_x):
        x = axes.x(value)
        shapes += [element("line", x1=x, y1=TOP, x2=x, y2=HEIGHT - BOTTOM, stroke="#e6e6e2"),
                   _label(f"{value:g}", x, HEIGHT - BOTTOM + 16, "middle")]
    for value in _ticks(axes.low_y, axes.high_y):
        y = axes.y(value)
        shapes += [element("line", x1=LEFT, y1=y, x2=WIDTH - RIGHT, y2=y, stroke="#e6e6e2"),
                   _label(f"{value:g}", LEFT - 6, y + 4, "end")]
    middle = (HEIGHT - BOTTOM + TOP) / 2
    shapes.append(_label("multiply-accumulates for each byte of the bus's busier direction", (WIDTH + LEFT) / 2, HEIGHT - 10,
                         "middle"))
    shapes.append(element("text", "multiply-accumulates a cycle", x=16, y=middle, text_anchor="middle", font_size=12,
                          fill="#44443f", transform=f"rotate(-90 16 {middle:g})"))
    return "".join(shapes)


def _ticks(low: float, high: float) -> Iterator[float]:
    """1, 2 and 5 of each decade."""
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for digit in (1, 2, 5):
            if low <= digit * 10.0**exponent <= high:
                yield digit * 10.0**exponent


def _label(value: str, x: float, y: float, anchor: str) -> str:
    return element("text", text(value), x=x, y=y, text_anchor=anchor, font_size=12, fill="#44443f")


def _ceilings(profile: Profile, axes: _Axes) -> str:
    roof = profile.roofline
    corner = axes.x(roof.ridge), axes.y(roof.multipliers)
    bus = (f"M{axes.x(axes.low_x):.6g} {axes.y(roof.ceiling(axes.low_x)):.6g}L{corner[0]:.6g} {corner[1]:.6g}"
           f"H{WIDTH - RIGHT}")
    note = f"array: {roof.multipliers:,} MAC/cycle"
    slope = f"bus: {roof.bus} bytes/cycle each way; ridge at {roof.ridge:g} MAC/byte"
    return (element("path", d=bus, fill="none", stroke="#22221f", stroke_width=1.5)
            + _label(note, WIDTH - RIGHT - 4, TOP + 12, "end") + _label(slope, LEFT + 10, TOP + 12, "start"))


def _point(layer: LayerProfile, axes: _Axes, cycles: int) -> str:
    assert layer.intensity and layer.macs_per_cycle
    bound = layer.roofline.bound(layer.intensity)
    radius = max(SMALLEST, LARGEST * math.sqrt(layer.array_cycles / cycles * 4))
    title = (f"{layer.name}\n{layer.intensity:,.1f} MAC/byte, {layer.macs_per_cycle:,.1f} of at most "
             f"{layer.roofline.ceiling(layer.intensity):,.1f} MAC/cycle\nbound by the {bound}\n"
             f"{layer.array_cycles:,} cycles")
    return element("circle", element("title", text(title)), cx=axes.x(layer.intensity), cy=axes.y(layer.macs_per_cycle),
                   r=min(radius, LARGEST), fill=ARRAY_COLOUR if bound == "array" else BUS_COLOUR, fill_opacity=0.6,
                   stroke="#ffffff")
