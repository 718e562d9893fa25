"""The registers for software and for other tools: a C header, SystemRDL, and JSON."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from arrayloom.isa.config import Config
from arrayloom.isa.register_map import RegisterEntry, register_map
from arrayloom.isa.registers import (
    ERROR_TEXT,
    IDENTITY_VALUE,
    REGISTER_ADDRESS_BITS,
    REGISTER_BITS,
    REGISTER_BYTES,
    VERSION_VALUE,
    Block,
    Cause,
    Control,
    Error,
    Status,
    blocks_of,
)

PREFIX = "ARRAYLOOM"
ENUMS: tuple[type[IntEnum], ...] = (Control, Status, Error, Block, Cause)


def c_header(config: Config) -> str:
    """A header of C and C++: addresses from the core's first register, values, and the bits of CONTROL and STATUS."""
    return "\n".join(_c_lines(config)) + "\n"


def system_rdl(config: Config) -> str:
    """An address map of SystemRDL 2.0 (Accellera, January 2018)."""
    return "\n".join(_rdl_lines(config)) + "\n"


def figures(config: Config) -> list[dict[str, Any]]:
    """The registers of the core as entries of the JSON file."""
    return [{"name": entry.name, "address": entry.address, "access": entry.access, "reset": entry.reset,
             "description": entry.doc,
             "fields": [{"name": bits.name, "low": bits.low, "width": bits.width} for bits in entry.fields]}
            for entry in register_map(config.units)]


def _c_lines(config: Config) -> Iterator[str]:
    yield f"/* Registers of the Arrayloom core of configuration {config.name}; generated, do not edit. */"
    yield f"#ifndef {PREFIX}_REGISTERS_H"
    yield f"#define {PREFIX}_REGISTERS_H"
    yield ""
    values = {"IDENTITY_VALUE": IDENTITY_VALUE, "VERSION_VALUE": VERSION_VALUE, "CONFIG_VALUE": config.digest_word,
              "REGISTER_SPACE": 1 << REGISTER_ADDRESS_BITS}
    for name, value in values.items():
        yield f"#define {PREFIX}_{name} 0x{value:08X}u"
    yield ""
    yield "/* Byte addresses from the first register; each is 32 bits wide. */"
    for entry in register_map(config.units):
        yield f"#define {PREFIX}_{entry.name} 0x{entry.address:03X}u /* {entry.access}: {_comment(entry.doc)} */"
        if entry.reset:
            yield f"#define {PREFIX}_RESET_VALUE_{entry.name} 0x{entry.reset:08X}u"
    for enum in ENUMS:
        yield ""
        yield f"/* {_comment(' '.join((enum.__doc__ or '').split()))} */"
        for member in blocks_of(config.units) if enum is Block else enum:
            text = ERROR_TEXT.get(member) if isinstance(member, Error) else None
            yield f"#define {PREFIX}_{enum.__name__.upper()}_{member.name} {member.value}u" + (
                f" /* {_comment(text)} */" if text else "")
    yield ""
    yield f"#endif /* {PREFIX}_REGISTERS_H */"


def _comment(text: str) -> str:
    return text.replace("*/", "* /")


def _rdl_lines(config: Config) -> Iterator[str]:
    yield f"// Registers of the Arrayloom core of configuration {config.name}; generated, do not edit."
    yield f"addrmap {PREFIX.lower()} {{"
    yield f'    name = "{PREFIX.capitalize()}";'
    yield f"    default regwidth = {REGISTER_BITS};"
    yield f"    default accesswidth = {REGISTER_BITS};"
    yield f"    alignment = {REGISTER_BYTES};"
    for entry in register_map(config.units):
        yield from _rdl_register(entry)
    yield "};"


def _rdl_register(entry: RegisterEntry) -> Iterator[str]:
    software = {"read-only": "r", "write-only": "w", "read-write": "rw"}[entry.access]
    hardware = "w" if software == "r" else "r"
    text = entry.doc.replace("\\", "\\\\").replace('"', '\\"')
    yield "    reg {"
    yield f'        desc = "{text}";'
    for bits in entry.fields:
        reset = f" = 0x{entry.reset >> bits.low & (1 << bits.width) - 1:X}" if "w" in software else ""
        yield (f"        field {{ sw = {software}; hw = {hardware}; }} {bits.name}[{bits.low + bits.width - 1}:{bits.low}]"
               f"{reset};")
    yield f"    }} {entry.name} @ 0x{entry.address:03X};"
