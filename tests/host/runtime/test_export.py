"""Files exported with the Verilog: all describe the same ports and registers, read by the tools they are made for."""

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from systemrdl import RDLCompiler
from systemrdl.node import AddrmapNode

from arrayloom.host.runtime.export import export_verilog
from arrayloom.host.runtime.export_ipxact import NAMESPACE
from arrayloom.isa.config import PRESETS
from arrayloom.isa.register_map import register_map
from arrayloom.isa.registers import ERROR_TEXT, Control, Error, Status

TINY = PRESETS["tiny"]
SPACES = {"ipxact": NAMESPACE}
ENTRIES = register_map()
AXI = {"ID", "ADDR", "LEN", "SIZE", "BURST", "PROT", "CACHE", "QOS", "VALID", "READY", "DATA", "RESP", "LAST", "STRB"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files by suffix."""
    return {path.suffix: path for path in export_verilog(TINY, tmp_path_factory.mktemp("made") / "rtl")}


@pytest.fixture(scope="module")
def described(files: dict[str, Path]) -> dict[str, object]:
    return json.loads(files[".json"].read_text())


def test_registers_have_addresses_of_their_own() -> None:
    assert len({entry.address for entry in ENTRIES}) == len({entry.name for entry in ENTRIES}) == len(ENTRIES) > 150
    assert all(entry.doc and entry.address % 4 == 0 for entry in ENTRIES)
    for entry in ENTRIES:
        bits = [bit for field in entry.fields for bit in range(field.low, field.low + field.width)]
        assert len(set(bits)) == len(bits) and max(bits) < 32, entry.name


def test_verilog_has_the_ports_of_the_list_and_no_backslash_within_a_name(files, described) -> None:
    text = files[".v"].read_text()
    head = re.search(r"module arrayloom\((.*?)\);", text, re.DOTALL)
    assert head is not None
    assert sorted(name.strip() for name in head[1].split(",")) == sorted(port["name"] for port in described["ports"])
    for port in described["ports"]:
        width = rf"\[{port['width'] - 1}:0\] " if port["width"] > 1 else ""
        assert re.search(rf"^  {port['direction']}put {width}{port['name']};", text, re.MULTILINE), port
    assert not re.search(r"\\\S*\\", text)


def test_json_lists_the_registers(described) -> None:
    assert [(one["name"], one["address"], one["access"], one["reset"]) for one in described["registers"]] == [
        (entry.name, entry.address, entry.access, entry.reset) for entry in ENTRIES]


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99"], ["g++"]], ids=["c", "c++"])
def test_the_header_compiles_to_the_registers(files, tmp_path, compiler) -> None:
    values = {f"ARRAYLOOM_{entry.name}": entry.address for entry in ENTRIES}
    values |= {f"ARRAYLOOM_RESET_VALUE_{entry.name}": entry.reset for entry in ENTRIES if entry.reset}
    values |= {f"ARRAYLOOM_ERROR_{error.name}": error.value for error in Error}
    values |= {"ARRAYLOOM_CONTROL_START": Control.START, "ARRAYLOOM_STATUS_BUS_STUCK": Status.BUS_STUCK,
               "ARRAYLOOM_CONFIG_VALUE": TINY.digest_word}
    lines = "".join(f'    printf("%u\\n", {name});\n' for name in values)
    source = tmp_path / ("main.c" if compiler[0] == "gcc" else "main.cpp")
    source.write_text(f'#include "{files[".h"]}"\n#include "{files[".h"]}"\n#include <stdio.h>\n'
                      f"int main(void) {{\n{lines}    return 0;\n}}\n")
    subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "main", source], check=True, timeout=60)
    printed = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True, timeout=60).stdout
    assert [int(line) for line in printed.split()] == list(values.values())
    text = files[".h"].read_text()
    assert all(message in text for message in ERROR_TEXT.values())


def test_system_rdl_describes_the_registers(files) -> None:
    compiler = RDLCompiler()
    compiler.compile_file(str(files[".rdl"]))
    top = compiler.elaborate().top
    assert isinstance(top, AddrmapNode)
    registers = {node.inst_name: node for node in top.registers()}
    assert set(registers) == {entry.name for entry in ENTRIES}
    for entry in ENTRIES:
        node = registers[entry.name]
        assert node.absolute_address == entry.address and node.get_property("desc") == entry.doc
        assert (node.has_sw_readable, node.has_sw_writable) == (entry.readable, entry.writable), entry.name
        fields = {field.inst_name: field for field in node.fields()}
        assert {name: (field.low, field.width) for name, field in fields.items()} == {
            field.name: (field.low, field.width) for field in entry.fields}
        if entry.writable:
            assert sum(field.get_property("reset") << field.low for field in fields.values()) == entry.reset


def test_ip_xact_describes_ports_buses_and_registers(files, described) -> None:
    root = ET.parse(files[".xml"]).getroot()

    def texts(path: str) -> list[str]:
        return [found.text or "" for found in root.findall(path, SPACES)]

    assert texts("ipxact:model/ipxact:ports/ipxact:port/ipxact:name") == [port["name"] for port in described["ports"]]
    assert texts("ipxact:model/ipxact:ports/ipxact:port/ipxact:wire/ipxact:direction") == [
        port["direction"] for port in described["ports"]]
    registers = "ipxact:memoryMaps/ipxact:memoryMap/ipxact:addressBlock/ipxact:register/ipxact:"
    assert texts(registers + "name") == [entry.name for entry in ENTRIES]
    assert [int(text.removeprefix("'h"), 16) for text in texts(registers + "addressOffset")] == [
        entry.address for entry in ENTRIES]
    assert texts(registers + "access") == [entry.access for entry in ENTRIES]
    mapped: list[str] = []
    for bus in root.findall("ipxact:busInterfaces/ipxact:busInterface", SPACES):
        name = bus.findtext("ipxact:name", "", SPACES)
        for pair in bus.iter(f"{{{NAMESPACE}}}portMap"):
            logical = pair.findtext("ipxact:logicalPort/ipxact:name", "", SPACES)
            physical = pair.findtext("ipxact:physicalPort/ipxact:name", "", SPACES)
            assert re.sub("^(AR|AW|R|W|B)", "", logical) in AXI and physical == f"{name}__{logical.lower()}"
            mapped.append(physical)
    assert sorted(mapped) == sorted(port["name"] for port in described["ports"] if port["name"].startswith("axi"))
