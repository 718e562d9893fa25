"""The accelerator as files for other tools: Verilog, its ports and registers as JSON, C, SystemRDL and IP-XACT, waivers."""

import json
from pathlib import Path

from amaranth import Value
from amaranth.lib.wiring import Flow

from arrayloom.hdl.top import Accelerator
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.export_ipxact import ip_xact
from arrayloom.host.runtime.export_registers import c_header, figures, system_rdl
from arrayloom.isa.config import Config
from arrayloom.sim.rtl.verilog import write_plain_verilog

TOP = "arrayloom"
WAIVERS = Path(__file__).with_name("arrayloom.vlt")
"""Waivers for Verilator's warnings about the Verilog that are not faults, each with the reason."""


def export_verilog(config: Config, folder: Path) -> list[Path]:
    """Writes ``arrayloom_NAME`` with the endings ``.v``, ``.json`` (ports and registers), ``.h``, ``.rdl`` (SystemRDL),
    ``.xml`` (IP-XACT) and ``.vlt`` (waivers for Verilator's lint) into ``folder``, which is created if missing.

    Returns the paths in that order. Raises ``InputError`` if they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        verilog = folder / f"{TOP}_{config.name}.v"
        accelerator = Accelerator(config)
        write_plain_verilog(accelerator, verilog, TOP)
        ports = _ports(accelerator)
        files = [verilog, *(verilog.with_suffix(suffix) for suffix in (".json", ".h", ".rdl", ".xml", ".vlt"))]
        sidecar = {"module": TOP, "config": config.to_json(), "digest": config.digest, "ports": ports,
                   "files": [file.name for file in files], "registers": figures(config)}
        texts = (json.dumps(sidecar, indent=2) + "\n", c_header(config), system_rdl(config),
                 ip_xact(config, TOP, ports, verilog.name), WAIVERS.read_text())
        for file, text in zip(files[1:], texts, strict=True):
            file.write_text(text)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from None
    return files


def _ports(accelerator: Accelerator) -> list[dict[str, object]]:
    ports: list[dict[str, object]] = [{"name": name, "direction": "in", "width": 1} for name in ("clk", "rst")]
    for path, member, value in accelerator.signature.flatten(accelerator):
        direction = "out" if member.flow is Flow.Out else "in"
        ports.append({"name": "__".join(map(str, path)), "direction": direction, "width": len(Value.cast(value))})
    return ports
