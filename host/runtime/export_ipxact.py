"""The core as a component of IP-XACT (IEEE 1685-2014): its ports, its buses and its registers."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.config import Config
from arrayloom.isa.register_map import RegisterEntry, register_map
from arrayloom.isa.registers import REGISTER_ADDRESS_BITS, REGISTER_BITS, VERSION_VALUE

NAMESPACE = "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"
VENDOR, LIBRARY = "arrayloom", "cores"
BUSES = {"axi": ("AXI4", "AXI4_rtl", "master"), "axil": ("AXI4-Lite", "AXI4Lite_rtl", "slave")}
"""The bus of each group of ports, as named by the vendor amba.com in version r0p0_0, and its role."""
MEMORY_MAP, ADDRESS_SPACE = "registers", "memory"


def ip_xact(config: Config, module: str, ports: Sequence[dict[str, Any]], verilog: str) -> str:
    """The component's XML.

    Parameters
    ----------
    config : Config
    module : str
        Name of the Verilog module.
    ports : sequence of dict
        ``name``, ``direction`` and ``width`` of each.
    verilog : str
        Name of the Verilog file.
    """
    ET.register_namespace("ipxact", NAMESPACE)
    root = ET.Element(_tag("component"))
    for name, value in (("vendor", VENDOR), ("library", LIBRARY), ("name", f"{module}_{config.name}"),
                        ("version", str(VERSION_VALUE))):
        _text(root, name, value)
    buses = _child(root, "busInterfaces")
    for group, (bus, abstraction, side) in BUSES.items():
        _bus(buses, group, bus, abstraction, side, ports)
    spaces = _child(root, "addressSpaces")
    space = _child(spaces, "addressSpace")
    _text(space, "name", ADDRESS_SPACE)
    _text(space, "range", str(1 << ADDRESS_BITS))
    _text(space, "width", str(config.word_bits))
    _registers(root, config)
    _model(root, module, ports)
    files = _child(_child(root, "fileSets"), "fileSet")
    _text(files, "name", "verilog")
    file = _child(files, "file")
    _text(file, "name", verilog)
    _text(file, "fileType", "verilogSource")
    ET.indent(root)
    return ET.tostring(root, "unicode", xml_declaration=True) + "\n"


def _bus(parent: ET.Element, group: str, bus: str, abstraction: str, side: str, ports: Sequence[dict[str, Any]]) -> None:
    interface = _child(parent, "busInterface")
    _text(interface, "name", group)
    reference = {"vendor": "amba.com", "library": "AMBA4", "version": "r0p0_0"}
    _child(interface, "busType", reference | {"name": bus})
    kind = _child(_child(interface, "abstractionTypes"), "abstractionType")
    _child(kind, "abstractionRef", reference | {"name": abstraction})
    maps = _child(kind, "portMaps")
    for port in ports:
        start, _, signal = port["name"].partition("__")
        if start == group:
            pair = _child(maps, "portMap")
            _text(_child(pair, "logicalPort"), "name", signal.upper())
            _text(_child(pair, "physicalPort"), "name", port["name"])
    if side == "master":
        _child(_child(interface, side), "addressSpaceRef", {"addressSpaceRef": ADDRESS_SPACE})
    else:
        _child(_child(interface, side), "memoryMapRef", {"memoryMapRef": MEMORY_MAP})


def _registers(root: ET.Element, config: Config) -> None:
    memory = _child(_child(root, "memoryMaps"), "memoryMap")
    _text(memory, "name", MEMORY_MAP)
    block = _child(memory, "addressBlock")
    for name, value in (("name", "core"), ("baseAddress", "0"), ("range", str(1 << REGISTER_ADDRESS_BITS)),
                        ("width", str(REGISTER_BITS)), ("usage", "register")):
        _text(block, name, value)
    for entry in register_map(config.units):
        _register(block, entry)


def _register(block: ET.Element, entry: RegisterEntry) -> None:
    register = _child(block, "register")
    for name, value in (("name", entry.name), ("description", entry.doc), ("addressOffset", f"'h{entry.address:X}"),
                        ("size", str(REGISTER_BITS)), ("access", entry.access)):
        _text(register, name, value)
    for bits in entry.fields:
        field = _child(register, "field")
        _text(field, "name", bits.name)
        _text(field, "bitOffset", str(bits.low))
        if entry.writable:
            reset = _child(_child(field, "resets"), "reset")
            _text(reset, "value", f"'h{entry.reset >> bits.low & (1 << bits.width) - 1:X}")
        _text(field, "bitWidth", str(bits.width))


def _model(root: ET.Element, module: str, ports: Sequence[dict[str, Any]]) -> None:
    model = _child(root, "model")
    view = _child(_child(model, "views"), "view")
    _text(view, "name", "rtl")
    _text(view, "envIdentifier", ":*Synthesis:")
    _text(view, "componentInstantiationRef", "rtl")
    instantiation = _child(_child(model, "instantiations"), "componentInstantiation")
    _text(instantiation, "name", "rtl")
    _text(instantiation, "language", "verilog")
    _text(instantiation, "moduleName", module)
    _text(_child(instantiation, "fileSetRef"), "localName", "verilog")
    listed = _child(model, "ports")
    for port in ports:
        one = _child(listed, "port")
        _text(one, "name", port["name"])
        wire = _child(one, "wire")
        _text(wire, "direction", port["direction"])
        if port["width"] > 1:
            vector = _child(_child(wire, "vectors"), "vector")
            _text(vector, "left", str(port["width"] - 1))
            _text(vector, "right", "0")


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _child(parent: ET.Element, name: str, attributes: dict[str, str] | None = None) -> ET.Element:
    return ET.SubElement(parent, _tag(name), attributes or {})


def _text(parent: ET.Element, name: str, text: str) -> None:
    _child(parent, name).text = text
