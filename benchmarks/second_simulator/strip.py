"""Removes power-up values from Verilog: registers without reset then stay unknown until they are written."""

import re

from arrayloom.sim.rtl.errors import BuildError

_REGISTER = re.compile(r"^(\s*(?:output )?reg (?:signed )?(?:\[[^\]]*\] )?(?:\\\S+ |\w+))\s*= \S+;$", re.MULTILINE)
_OTHER = re.compile(r"^\s*(?:initial\b|(?:output )?reg [^;]*=).*$", re.MULTILINE)


def strip_power_up(verilog: str) -> str:
    """The text without initial values.

    Raises ``BuildError`` for anything but a plain value of a register, such as an initial block, which may fill a ROM.
    """
    stripped = _REGISTER.sub(r"\1;", verilog)
    if found := _OTHER.search(stripped):
        raise BuildError(f"{found[0].strip()!r} in the Verilog: only plain values of registers are stripped")
    return stripped
