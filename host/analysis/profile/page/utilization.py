"""The plot of layers: what the array's cycles for each were, from ideal to lost."""

from arrayloom.host.analysis.profile.page.markup import element, text
from arrayloom.host.analysis.profile.page.palette import IDEAL, colour, legend
from arrayloom.host.analysis.profile.profile import LayerProfile, Profile
from arrayloom.host.analysis.profile.table import short

NAME, BAR, NUMBER = 270, 640, 190      # widths
ROW = 20                                # height


def utilization(profile: Profile) -> str:
    """One bar for each layer: its length is the layer's share of all cycles of the longest, its parts are causes."""
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
