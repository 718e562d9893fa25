"""The members of Verilator's class for the top, read from its header."""

import re

from arrayloom.sim.rtl.islands.triggers import UnknownModelError

_PORT = re.compile(r"\s+VL_(IN|OUT|INOUT)(?:8|16|64|W)?\(&?(\w+),")
_SIGNAL = re.compile(r"\s+(?:[CSIQ]Data|VlWide<\d+>|VlUnpacked<.+>)(?:/\*[^*]*\*/)? (\w+);")
_OWN = "__V"    # prefix of Verilator's internal members


def write_fields(header: str) -> str:
    """C++ for the twin (twin.h): a table of all signals of the design, and a function that copies its inputs.

    ``header`` is the text of Vtop___024root.h. Raises ``UnknownModelError`` if it declares no signals.
    """
    ports, signals = _PORT.findall(header), [name for name in _SIGNAL.findall(header) if not name.startswith(_OWN)]
    inputs = [name for kind, name in ports if kind == "IN" and not name.startswith("clk")]
    names = signals + [name for kind, name in ports if kind == "OUT"]     # signals derived from others come after them
    if not inputs or not signals:
        raise UnknownModelError("Vtop___024root.h declares no signals")
    lines = ["#pragma once", "", "#include <cstddef>", "#include <cstring>", "",
             "namespace arrayloom {", "", "struct Field {", "    const char* name;", "    size_t offset, size;", "};", "",
             "constexpr Field kFields[] = {"]
    lines += [f'    {{"{name}", offsetof(Pins, {name}), sizeof(Pins::{name})}},' for name in names]
    lines += ["};", "", "inline void copy_inputs(const Pins& from, Pins& to) {"]
    lines += [f"    std::memcpy(&to.{name}, &from.{name}, sizeof to.{name});" for name in inputs]
    return "\n".join([*lines, "}", "", "}  // namespace arrayloom", ""])

