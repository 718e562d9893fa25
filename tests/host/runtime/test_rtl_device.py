"""Runs on the RTL seen from outside: progress, interruption, and reports of stalls."""

import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from interrupts import hear_interrupts
from rich.console import Console

from arrayloom import Session
from arrayloom.host.cli.bar import show
from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.runtime.backends import RtlDevice
from arrayloom.host.runtime.errors import DeviceError, RunError
from arrayloom.host.runtime.report import Snapshot
from arrayloom.host.vision import preprocess
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import Instruction, Units, encode_all
from arrayloom.isa.image import build_memory
from arrayloom.isa.instructions import (
    Convolve,
    Elementwise,
    End,
    LoadActivations,
    LoadWeights,
    Pool,
    PoolKind,
    Store,
)
from arrayloom.isa.program import Layer, Program

TINY = PRESETS["tiny"]
IMAGE = digits.IMAGES / "digit_3_0705.png"
DATA = 1 << 15
REGION = {"height": 1, "width": 2}
CONVOLVE = {"height": 1, "width": 1, "source_height": 1, "source_width": 1, "first": 1, "last": 1}


def by_hand(*instructions: Instruction, layers: tuple[Layer, ...] = ()) -> Program:
    code = encode_all(list(instructions))
    nothing = np.zeros(0, np.uint8)
    return Program(TINY, "by hand", code, nothing, 0, DATA, 2 * DATA, [], [], None, list(layers), [], {}, {}, 0)


def stall(program: Program) -> list[str]:
    """The report's lines from a run that ends in an error."""
    device = RtlDevice(TINY)
    with pytest.raises(RunError) as raised:
        device.execute(program, build_memory(program))
    device.close()
    return str(raised.value).splitlines()


def line_of(report: list[str], start: str) -> str:
    return next(line.strip() for line in report if line.strip().startswith(start))


def load(**masks: int) -> LoadActivations:
    return LoadActivations(address=DATA, destination=0, words=2, rows=1, memory_pitch=0, chip_pitch=0, **masks)


def store(**masks: int) -> Store:
    return Store(address=DATA + 64, source=0, words=2, rows=1, memory_pitch=0, chip_pitch=0, **masks)


def test_a_token_that_nobody_gives_is_named() -> None:
    program = by_hand(load(signal=Units.STORE), Elementwise(**REGION, wait=Units.LOAD | Units.STORE),
                      Elementwise(**REGION), store(wait=Units.LOAD), End(), layers=(Layer("conv1", "Conv", ((0, 2),), 0),))
    report = stall(program)
    assert re.match(r"the run failed in POST at cycle 100,\d{3}: watchdog: no unit made progress", report[0])
    assert line_of(report, "FETCH") == "FETCH: idle; 5 of 5 instructions dispatched"
    assert line_of(report, "LOAD") == "LOAD: idle; 1 of 1 instructions complete, 0 in flight, 0 waiting; tokens held: none"
    assert line_of(report, "POST") == ("POST: waiting for a token; 0 of 2 instructions complete, 0 in flight, 2 waiting; "
                                       "tokens held: none")
    assert line_of(report, "at ") == f"at instruction 1 of layer 'conv1': {list(program)[1]}"
    assert line_of(report, "lacks a token of LOAD") == (
        "lacks a token of LOAD, and no later instruction of LOAD gives one")
    assert line_of(report, "lacks a token of STORE").endswith("no later instruction of STORE gives one")
    assert line_of(report, "bus:") == "bus: 0 bursts of reads and 0 of writes under way"


def test_a_circle_of_tokens_is_shown_with_what_would_break_it() -> None:
    program = by_hand(load(signal=Units.POST), load(wait=Units.STORE, signal=Units.STORE), store(wait=Units.LOAD),
                      store(signal=Units.LOAD), End())
    report = stall(program)
    lacks = [line.strip() for line in report if "lacks" in line]
    assert lacks == [f"lacks a token of STORE, which the end of instruction 3: {list(program)[3]} gives",
                     f"lacks a token of LOAD, which the end of instruction 1: {list(program)[1]} gives"]
    assert "tokens held: 1 of LOAD" in line_of(report, "POST")


def test_full_stores_and_queues_are_shown() -> None:
    tile = LoadWeights(address=DATA, words=4)
    report = stall(by_hand(*[tile] * 3, *[Convolve(**CONVOLVE)] * 3, *[Elementwise(**REGION, wait=Units.STORE)] * 12, End()))
    assert line_of(report, "accumulator banks") == "accumulator banks: 2 of 2 in use, 2 full"
    assert line_of(report, "ARRAY").startswith("ARRAY: waiting for an accumulator bank to be drained; 2 of 3")
    assert line_of(report, "FETCH").startswith("FETCH: waiting for room; ")
    assert "; next instruction " in line_of(report, "FETCH")
    assert line_of(report, "weight FIFO") == (
        "weight FIFO: 0 of 256 words; parameter FIFO: 0 of 512 entries; tables: 0 of 2 pages")


def test_a_store_before_what_may_be_written_is_refused_with_its_address() -> None:
    program = replace(by_hand(load(signal=Units.STORE), store(wait=Units.LOAD), End()), write_base=DATA + 128)
    memory = build_memory(program)
    before = memory.copy()
    with closing(RtlDevice(TINY)) as device, pytest.raises(RunError) as raised:
        device.execute(program, memory)
    report = str(raised.value).splitlines()
    assert "the run failed in STORE" in report[0] and "a write outside the memory" in report[0]
    assert line_of(report, "at byte") == f"at byte {DATA + 64:#x} from the program's memory base"
    assert np.array_equal(memory, before)


def test_a_run_that_only_computes_ends_at_its_limit() -> None:
    """65,535 rows and columns of 1023-by-1023 windows: more work than could ever finish."""
    endless = Pool(kind=PoolKind.MAXIMUM, height=65535, width=65535, taps_y=1023, taps_x=1023, source_height=4,
                   source_width=4, row_pitch=4)
    program = replace(by_hand(endless, End()), cycle_limit=5000)
    report = stall(program)
    assert re.match(r"the run failed in POST at cycle 5,00\d: the run took more cycles than register CYCLE_LIMIT", report[0])


def test_a_damaged_instruction_is_named() -> None:
    program = by_hand(load(), End())
    program.instructions = program.instructions.copy()
    program.instructions[7] ^= 4
    report = stall(program)
    assert "damaged instruction" in report[0] and "the check of instruction 0 does not fit it" in report[0]


def test_progress_knows_layer_cycles_and_share() -> None:
    snapshots: list[Snapshot] = []
    with Session(digits.MODEL, "tiny") as session:
        session.run({"image": preprocess(IMAGE, "digits")}, snapshots.append)
        program, cycles = session.program, session.report.cycles
    assert cycles is not None and snapshots
    assert {snapshot.layer for snapshot in snapshots} <= {"", *(layer.name for layer in program.layers)}
    for snapshot in snapshots:
        assert snapshot.count == len(program) and snapshot.cycles is not None
        assert abs(snapshot.share - snapshot.cycles / cycles) < 0.1
    assert all(a.share <= b.share and (a.cycles or 0) <= (b.cycles or 0) for a, b in itertools.pairwise(snapshots))


def test_progress_is_drawn() -> None:
    screen = io.StringIO()
    with show("running", Console(file=screen, force_terminal=True, width=140)) as progress:
        progress(Snapshot(3, 10, "conv1", 0.25, 1_234_567))
        progress(Snapshot(9, 10, "conv2", 0.75, 7_000_000))
        progress(Snapshot(1, 10, "conv1", 0.1, 1000))
        drawn = screen.getvalue()
    assert "running conv1" in drawn + screen.getvalue()
    assert re.search(r"[\d,]+ cycles, \d+\.\d\d M cycles/s", screen.getvalue())


def test_nothing_but_json_is_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    program = tmp_path / "digits.loom"
    assert main(["compile", str(digits.MODEL), "-o", str(program), "--config", "tiny"]) == 0
    capsys.readouterr()
    run = ["run", str(program), "--input", str(IMAGE), "--preprocess", "digits"]
    assert main([*run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cycles"] > 0
    assert main(run) == 0
    assert "cycles/s" not in capsys.readouterr().out.replace("M cycles/s,", "")


def test_a_run_at_full_speed_ends_within_a_second_of_an_interrupt() -> None:
    code = ("import time\n"
            "from arrayloom import Session\nfrom arrayloom.host.models import digits\n"
            "from arrayloom.host.vision import preprocess\n"
            f"image = preprocess({str(IMAGE)!r}, 'digits')\n"
            "with Session(digits.MODEL, 'tiny') as session:\n"
            "    session.run({'image': image})\n    print('going', flush=True)\n"
            "    try:\n        session.device._driver.simulator.run(1 << 40, until_irq=False)\n"
            "    except KeyboardInterrupt:\n        print(time.monotonic())\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment, preexec_fn=hear_interrupts) as process:
        assert process.stdout is not None and process.stdout.readline() == "going\n"
        time.sleep(0.5)
        assert process.poll() is None
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        ended, _ = process.communicate(timeout=20)
    assert float(ended) - begin < 1


def test_a_session_takes_the_configuration_of_its_program(tmp_path: Path) -> None:
    path = tmp_path / "digits.loom"
    with Session(digits.MODEL, "tiny", backend="emulator") as session:
        session.program.save(path)
        with pytest.raises(DeviceError, match="this session has not run yet, so it has no report"):
            _ = session.report
    with Session(path, backend="emulator") as session:
        assert session.config == TINY
        session.run({"image": preprocess(IMAGE, "digits")})
        assert session.report.macs == session.program.macs
    with Session(digits.MODEL, device=RtlDevice(TINY)) as session:
        assert session.config == TINY
