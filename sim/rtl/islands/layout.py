"""The order of islands: that in which Verilator numbers their clocks."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from arrayloom.sim.rtl.islands.terms import Activity

READ_INPUTS, WRITE_INPUTS, OTHER_INPUTS = "inputs.read", "inputs.write", "inputs.other"
"""Islands of the module's inputs, which the harness fires itself: those of R and AR, of W, AW and B, and the others."""
CLOCK_PORT, WAKE_PORT = "clk_", "wake_"
LAYOUT, HEADER = "islands.json", "islands.h"


@dataclass(frozen=True)
class Layout:
    """``names`` of the islands, with number k clocked by trigger k, and the sets of islands active together, by number."""

    names: list[str]
    activity: Activity

    def write(self, folder: Path) -> None:
        """Writes ``folder / LAYOUT``."""
        (folder / LAYOUT).write_text(json.dumps(asdict(self)))

    def header(self) -> str:
        """C++ for the harness (awake.h): the number of islands, and the islands of the inputs."""
        number = {name: index for index, name in enumerate(self.names)}
        masks = {"kReadInputs": [READ_INPUTS], "kWriteInputs": [WRITE_INPUTS], "kOtherInputs": [OTHER_INPUTS],
                 "kAllInputs": [READ_INPUTS, WRITE_INPUTS, OTHER_INPUTS], "kAllIslands": self.names}
        lines = ["#pragma once", "", "#include <cstddef>", "#include <cstdint>", "",
                 "namespace arrayloom {", ""]
        lines += [f"constexpr uint64_t {name} = {sum(1 << number[island] for island in islands):#x}u;"
                  for name, islands in masks.items()]
        lines.append(f"constexpr size_t kFirstWake = offsetof(Pins, {WAKE_PORT}0);")
        lines += [f"static_assert(offsetof(Pins, {WAKE_PORT}{index}) == kFirstWake + {index});"
                  for index in range(1, len(self.names))]
        return "\n".join([*lines, "", "}  // namespace arrayloom", ""])


def read_layout(folder: Path) -> Layout:
    """Reads the layout written by ``Layout.write`` to that folder."""
    values = json.loads((folder / LAYOUT).read_text())
    return Layout(values["names"], [(mask, share) for mask, share in values["activity"]])


def order_clocks(text: str, names: list[str], activity: Activity) -> tuple[str, Layout]:
    """Verilog with islands numbered in the order of their clocks' first appearance, as Verilator numbers triggers.

    ``text`` has the ports ``clk_k`` and ``wake_k`` for island k of ``names``. The outputs ``wake_k`` are declared in order.
    """
    order = list(dict.fromkeys(int(number) for number in re.findall(rf"edge {CLOCK_PORT}(\d+)\)", text)))
    order += [number for number in range(len(names)) if number not in order]
    new = {old: number for number, old in enumerate(order)}
    ports = rf"\b({CLOCK_PORT}|{WAKE_PORT})({'|'.join(map(str, new))})\b"
    text = re.sub(ports, lambda match: f"{match[1]}{new[int(match[2])]}", text)
    head, separator, body = text.partition(");")
    head = _sorted(rf"\b{WAKE_PORT}\d+\b", head)
    body = _sorted(rf"(?m)^  output {WAKE_PORT}\d+;", body)
    masks = [(sum(1 << new[old] for old in range(len(names)) if mask >> old & 1), share) for mask, share in activity]
    return head + separator + body, Layout([names[old] for old in order], masks)


def _sorted(pattern: str, text: str) -> str:
    """Sorts the matches by number, at the same places."""
    found = iter(sorted(re.findall(pattern, text), key=lambda match: int(re.sub(r"\D", "", match))))
    return re.sub(pattern, lambda _: next(found), text)
