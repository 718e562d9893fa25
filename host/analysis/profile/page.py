"""The profile as one self-contained page with plots and tables."""

from collections.abc import Iterable
from pathlib import Path

from arrayloom.host.analysis.profile.page_markup import element, table, text
from arrayloom.host.analysis.profile.page_plots import roofline, utilization
from arrayloom.host.analysis.profile.page_timeline import timeline
from arrayloom.host.analysis.profile.profile_text import verdict
from arrayloom.host.analysis.profile.run_profile import LayerProfile, Profile
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.files import write_atomically

HERE = Path(__file__).parent


def write_page(profile: Profile, path: Path) -> None:
    """Writes the page atomically; raises ``InputError`` if the file cannot be written."""
    try:
        with write_atomically(path) as file:
            file.write(page(profile).encode())
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def page(profile: Profile) -> str:
    title = f"{profile.title} on {profile.config.name}"
    head = (element("meta", charset="utf-8") + element("meta", name="viewport", content="width=device-width")
            + element("title", text(title)) + element("style", (HERE / "page.css").read_text()))
    body = [
        element("h1", text(title)), _tiles(profile), element("pre", text("\n".join(verdict(profile)))),
        _section("Timeline", "Cycles from the doorbell to the interrupt. Wheel or + and - zoom, drag or arrow keys move, "
                 "0 or a double click shows all. A lane's height is all of a column's cycles.", timeline(profile)),
        _section("Utilization by layer", "Cycles in which the array works for a layer, or waits for what it needs.",
                 utilization(profile)),
        _section("Roofline", "The area of a point is the layer's share of the cycles; green is bound by the array, red by "
                 "the bus.", roofline(profile)),
        _section("Layers", "", _layers(profile)), _section("Units", "", _units(profile)),
        _section("Memory", "", _memory(profile)),
        element("div", "", id="tip"), element("script", (HERE / "page.js").read_text()),
    ]
    return f'<!doctype html>\n{element("html", element("head", head) + element("body", body), lang="en")}\n'


def _section(title: str, explanation: str, content: str) -> str:
    introduction = element("p", text(explanation)) if explanation else ""
    return element("section", element("h2", text(title)) + introduction + content)


def _tiles(profile: Profile) -> str:
    figures = {"cycles": f"{profile.cycles:,}", "utilization": f"{profile.utilization:.2%}",
               "multipliers": f"{profile.config.multipliers:,}", "multiply-accumulates": f"{profile.program.macs:,}",
               "bytes read": f"{profile.memory.bytes_read:,}", "bytes written": f"{profile.memory.bytes_written:,}"}
    return element("dl", (element("div", element("dt", name) + element("dd", value)) for name, value in figures.items()))


def _layers(profile: Profile) -> str:
    head = ["layer", "operators", "MAC", "ideal cycles", "array cycles", "utilization", "first", "last", "bytes read",
            "bytes written", "MAC/byte", "MAC/cycle", "bound", "where the other cycles went"]
    return table(head, map(_cells, profile.layers))


def _cells(layer: LayerProfile) -> Iterable[str]:
    figures = layer.figures()
    first, last = (f"{layer.span[0]:,}", f"{layer.span[1] - 1:,}") if layer.span else ("", "")
    numbers = [f"{figures[name]:,.1f}" if figures[name] else "" for name in ("intensity", "macs_per_cycle")]
    return [layer.name, layer.row.operator or "", f"{layer.macs:,}", f"{layer.ideal_cycles:,.0f}",
            f"{layer.array_cycles:,}", f"{layer.utilization:.1%}" if layer.utilization is not None else "", first, last,
            f"{layer.traffic.read:,}", f"{layer.traffic.written:,}", *numbers, figures["bound"] or "",
            ", ".join(f"{cause} {cycles:,.0f}" for cause, cycles in layer.lost.items() if round(cycles))]


def _units(profile: Profile) -> str:
    units = profile.units
    rows = [[cause, *(f"{unit[cause]:,}" for unit in units.values())] for cause in next(iter(units.values()))]
    return table(["cause", *units], rows, ["total", *(f"{sum(unit.values()):,}" for unit in units.values())])


def _memory(profile: Profile) -> str:
    memory = profile.memory
    kinds = {"instructions": memory.instructions} | memory.moved.by_kind()
    rows = [[name, "written" if name == "stored" else "read", f"{count:,}"] for name, count in kinds.items()]
    return table(["what", "direction", "bytes"], rows)
