"""The accelerator as files for other tools: Verilog, and a JSON list of its ports."""

import json
from dataclasses import asdict
from pathlib import Path

from amaranth import Value
from amaranth.lib.wiring import Flow

from arrayloom.hdl.top import Accelerator
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.config import Config
from arrayloom.sim.rtl.verilog import write_verilog

TOP = "arrayloom"


def export_verilog(config: Config, folder: Path) -> list[Path]:
    """Writes ``arrayloom_NAME.v`` and ``arrayloom_NAME.json`` into ``folder``, which is made where it is missing.

    Returns both paths. Raises ``InputError`` when they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        verilog = folder / f"{TOP}_{config.name}.v"
        accelerator = Accelerator(config)
        write_verilog(accelerator, verilog, TOP)
        sidecar = verilog.with_suffix(".json")
        sidecar.write_text(json.dumps({"module": TOP, "config": asdict(config), "digest": config.digest,
                                       "ports": _ports(accelerator)}, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from None
    return [verilog, sidecar]


def _ports(accelerator: Accelerator) -> list[dict[str, object]]:
    ports: list[dict[str, object]] = [{"name": name, "direction": "in", "width": 1} for name in ("clk", "rst")]
    for path, member, value in accelerator.signature.flatten(accelerator):
        direction = "out" if member.flow is Flow.Out else "in"
        ports.append({"name": "__".join(map(str, path)), "direction": direction, "width": len(Value.cast(value))})
    return ports
