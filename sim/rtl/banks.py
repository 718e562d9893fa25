"""Passes the names of the scratchpad's banks to the harness when a simulator is built."""

from pathlib import Path

from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.members import Members

GENERATED = "scratchpad_banks.h"


def write_banks(members: Members, banks: tuple[str, ...], word_bytes: int, folder: Path) -> None:
    """Writes the header that names the memories ``banks``, which may be none, to the harness.

    Raises ``BuildError`` if one is not a member of Verilator's class, or its words differ from the others'.
    """
    found = [members.memory(name) for name in banks]
    for name, bank in zip(banks, found, strict=True):
        if bank.width != 8 * word_bytes or bank.depth != found[0].depth:
            raise BuildError(f"bank {name!r} of the scratchpad has {bank.depth} words of {bank.width} bits: must have "
                             f"{found[0].depth} of {8 * word_bytes}, as its design says")
    words = found[0].depth or 0 if found else 0
    uses = ", ".join(f"reinterpret_cast<uint8_t*>(&pins.{bank.name}[0])" for bank in found)
    checks = "".join(f"static_assert(sizeof(Vtop___024root::{bank.name}) == {words * word_bytes});\n" for bank in found)
    (folder / GENERATED).write_text(
        "#pragma once\n#include <array>\n#include \"Vtop___024root.h\"\nnamespace arrayloom {\n"
        f"constexpr uint32_t kBanks = {len(found)}, kBankWords = {words};\n{checks}"
        f"inline std::array<uint8_t*, kBanks> banks([[maybe_unused]] Vtop___024root& pins) {{ return {{{uses}}}; }}\n"
        "}  // namespace arrayloom\n")
