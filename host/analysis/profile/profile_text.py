"""The profile as text: tables in the terminal, and a few lines on how the array lost cycles."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from arrayloom.host.analysis.profile.run_profile import PARTIAL, LayerProfile, Profile

CAUSES = 5      # lines, at most
LAYERS = 3      # most layers named in a line

NAME_WIDTH = 30     # most characters of a layer's name; its end is more specific than its beginning
LOSSES = 2          # most causes named for a layer
PLAIN_WIDTH = 132   # default number of columns without a terminal

TEXT = {
    PARTIAL: "computing with part of the multipliers",
    "weights": "waiting for weights",
    "activations": "waiting for activations",
    "token": "waiting for a token",
    "memory": "waiting for memory",
    "draining": "waiting for sums to drain",
    "idle": "without an instruction",
    "space": "waiting for room",
    "sums": "waiting for sums",
    "overhead": "filling and emptying the pipeline",
}


@dataclass(frozen=True)
class Loss:
    """Cycles of the array lost to one cause, and the layers that lost the most, in descending order."""

    cause: str
    cycles: float
    layers: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        return describe(self.cause)


def describe(cause: str) -> str:
    """A key of ``lost`` in words."""
    name, of, unit = cause.partition(" of ")
    return TEXT[name] + of + unit


def losses(profile: Profile, causes: int = CAUSES, layers: int = LAYERS) -> list[Loss]:
    """The largest causes of lost array cycles."""
    result = []
    for cause, cycles in list(profile.lost.items())[:causes]:
        shares = sorted(((layer.name, layer.lost.get(cause, 0)) for layer in profile.layers), key=lambda item: -item[1])
        result.append(Loss(cause, cycles, tuple((name, share) for name, share in shares[:layers] if share > 0)))
    return result


def verdict(profile: Profile) -> list[str]:
    """The largest losses as lines of text."""
    lost = profile.cycles - profile.ideal_cycles
    lines = [f"Utilization {profile.utilization:.2%} of {profile.cycles:,} cycles; the array lost {lost:,.0f} cycles "
             f"({lost / profile.cycles:.2%}):"]
    for loss in losses(profile):
        where = ", ".join(f"{name} {cycles:,.0f}" for name, cycles in loss.layers)
        lines.append(f"  {loss.cycles:,.0f} ({loss.cycles / profile.cycles:.2%}) {loss.text}: {where}")
    return lines


def print_profile(profile: Profile) -> None:
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, emoji=False, highlight=False, width=PLAIN_WIDTH)
    console.print(_layers(profile))
    console.print(_units(profile))
    console.print("\n".join([*_memory(profile), "", *verdict(profile)]))


def short(name: str, width: int = NAME_WIDTH) -> str:
    return name if len(name) <= width else "…" + name[1 - width:]


def _table(title: str, left: str, right: Iterable[str], wide: str | None = None) -> Table:
    table = Table(box=SIMPLE, title=title, title_justify="left", pad_edge=False)
    table.add_column(left, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column(wide)
    return table


def _layers(profile: Profile) -> Table:
    table = _table(f"{profile.title} on {profile.config.name}: cycles of the array by layer", "layer",
                   ["MMAC", "ideal", "cycles", "use", "MAC/byte", "bound"], "where the other cycles went")
    for layer in profile.layers:
        if layer.array_cycles:
            table.add_row(*_cells(layer))
    table.add_section()
    table.add_row("total", f"{profile.program.macs / 1e6:,.2f}", f"{profile.ideal_cycles:,.0f}", f"{profile.cycles:,}",
                  f"{profile.utilization:.1%}", "", "", _causes(profile.lost))
    return table


def _cells(layer: LayerProfile) -> list[str]:
    bound = layer.roofline.bound(layer.intensity)
    return [short(layer.name), f"{layer.macs / 1e6:,.2f}" if layer.macs else "-", f"{layer.ideal_cycles:,.0f}",
            f"{layer.array_cycles:,}", f"{layer.utilization or 0:.1%}",
            f"{layer.intensity:,.1f}" if layer.intensity else "-", bound or "-", _causes(layer.lost)]


def _causes(lost: dict[str, float]) -> str:
    named = list(lost.items())[:LOSSES]
    rest = sum(lost.values()) - sum(cycles for _, cycles in named)
    return ", ".join(f"{name} {cycles:,.0f}" for name, cycles in [*named, ("other", rest)] if round(cycles))


def _units(profile: Profile) -> Table:
    table = _table("cycles of each unit by cause", "cause", profile.units)
    causes = [name for name in next(iter(profile.units.values()))
              if any(unit[name] for unit in profile.units.values())]
    for name in causes:
        table.add_row(name, *(f"{unit[name]:,} {unit[name] / profile.cycles:6.1%}" for unit in profile.units.values()))
        for producer in profile.units if name == "token" else ():
            waits = [profile.token_waits[unit].get(producer, 0) for unit in profile.units]
            if any(waits):
                table.add_row(f"  of {producer}", *(f"{wait:,} {wait / profile.cycles:6.1%}" for wait in waits))
    table.add_section()
    table.add_row("total", *(f"{sum(unit.values()):,} {1:6.1%}" for unit in profile.units.values()))
    return table


def _memory(profile: Profile) -> list[str]:
    memory, figures = profile.memory, profile.figures()["roofline"]
    kinds = {"instructions": memory.instructions} | memory.moved.by_kind()
    read = ", ".join(f"{name} {kinds[name]:,}" for name in kinds if name != "stored" and kinds[name])
    return [f"read     {memory.bytes_read:,} bytes: {read}",
            f"written  {memory.bytes_written:,} bytes",
            f"roofline {figures['intensity']:,.1f} MAC/byte (ridge at {figures['ridge']:g}), "
            f"{figures['macs_per_cycle']:,.1f} of {figures['multipliers']:,} MAC/cycle: bound by the {figures['bound']}"]
