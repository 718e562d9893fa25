"""The script that packages the core for Vivado, run by a plain Tcl whose Vivado commands only print their arguments."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from checkout import ROOT

from arrayloom.host.runtime.export import export_verilog
from arrayloom.isa.config import PRESETS

COMMANDS = r"""
proc set_property {name value object} { if {$name eq "physical_name"} { puts "[join $object] $value" } }
proc get_property {name object} { return $object }
foreach name {create_project add_files update_compile_order current_fileset} { proc $name args {} }
namespace eval ipx {
    foreach name {package_project create_xgui_files update_checksums check_integrity save_core remove_bus_interface
                  add_bus_parameter add_address_space add_memory_map add_address_block} { proc $name args { return object } }
    proc current_core {} { return core }
    proc get_bus_interfaces args { return guessed }
    proc get_ports args { return $::ports }
    proc add_bus_interface {name core} { return $name }
    proc add_port_map {logical bus} { return [list $bus $logical] }
}
"""


def test_every_port_of_a_bus_is_mapped_once(tmp_path: Path) -> None:
    tcl = shutil.which("tclsh")
    if tcl is None:
        pytest.skip("tclsh is not installed")
    _, sidecar, *_ = export_verilog(PRESETS["tiny"], tmp_path)
    names = [port["name"] for port in json.loads(sidecar.read_text())["ports"]]
    script = tmp_path / "run.tcl"
    script.write_text(f"set ports {{{' '.join(names)}}}\nset argv {{arrayloom.v ip}}\n{COMMANDS}\n"
                      f"source {ROOT / 'docs' / 'vivado' / 'package_ip.tcl'}\n")
    done = subprocess.run([tcl, str(script)], capture_output=True, text=True, check=True)
    mapped = {physical: (bus, logical) for bus, logical, physical in map(str.split, done.stdout.splitlines())}
    assert len(mapped) == len(done.stdout.splitlines())
    assert {name for name in names if not name.startswith(("trace__", "events__"))} - {"core_reset"} == set(mapped)
    assert mapped["axi__araddr"] == ("m_axi", "ARADDR") and mapped["axil__wdata"] == ("s_axi", "WDATA")
    assert mapped["irq"] == ("irq", "INTERRUPT")
