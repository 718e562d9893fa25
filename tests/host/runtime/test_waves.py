"""Windows of waveforms: their syntax, the cycles they cover, and refusals."""

from pathlib import Path

import numpy as np
import pytest
from pywellen import Waveform

from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.waves import MARGIN, Point, Window
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import encode_all
from arrayloom.isa.instructions import Convolve, Drain, End, LoadWeights
from arrayloom.isa.program import Layer, Program
from arrayloom.isa.registers import Cause
from arrayloom.sim.rtl.timeline import Timeline, Track, Traffic

IMAGE = digits.IMAGES / "digit_3_0705.png"
IDLE, COMPUTING, TOKEN = Cause.IDLE, Cause.COMPUTING, Cause.TOKEN
CYCLES = 100_000


def track(*segments: tuple[int, int, int]) -> Track:
    starts, causes, instructions = zip(*segments, strict=True)
    return Track(np.array(starts, np.int64), np.array(causes, np.uint8), np.array(instructions, np.int32))


@pytest.fixture
def program() -> Program:
    """Weights loaded in advance, a layer of Convolve and Drain, a layer of weights alone, and the end."""
    code = encode_all([LoadWeights(words=4), Convolve(), Drain(), LoadWeights(words=4), End()])
    layers = [Layer("/conv1", "Conv", ((0, 3),), 0), Layer("/conv2", "Conv", ((3, 4),), 0)]
    return Program(PRESETS["tiny"], "made", code, np.zeros(0, np.uint8), 0, 0, 4096, [], [], None, layers, [], {}, {}, 0)


@pytest.fixture
def timeline() -> Timeline:
    nothing = track((0, IDLE, -1))
    return Timeline(CYCLES, {
        "LOAD": track((0, COMPUTING, 0), (500, IDLE, 3), (70_000, COMPUTING, 3), (80_000, IDLE, -1)),
        "ARRAY": track((0, TOKEN, 1), (20_000, COMPUTING, 1), (30_000, IDLE, -1)),
        "POST": track((0, TOKEN, 2), (30_010, COMPUTING, 2), (30_500, IDLE, -1)),
        "STORE": nothing,
        "FETCH": track((0, COMPUTING, 0), (99_000, COMPUTING, 4), (99_003, IDLE, -1)),
    }, Traffic(*[np.zeros(1, np.int64)] * 3))


@pytest.mark.parametrize(("first", "last", "cycles"), [
    ("0", None, (0, 9_999)), ("95000", None, (95_000, CYCLES - 1)), ("5", "7", (5, 7)), ("5", "999999", (5, CYCLES - 1)),
    ("layer:/conv1", None, (20_000 - MARGIN, 30_499 + MARGIN)), ("layer:/conv2", None, (70_000 - MARGIN, 79_999 + MARGIN)),
    ("instruction:1", None, (20_000 - MARGIN, 29_999 + MARGIN)), ("instruction:0", None, (0, 499 + MARGIN)),
    ("instruction:1", "instruction:2", (20_000 - MARGIN, 30_499 + MARGIN)),
    ("layer:/conv1", "25000", (20_000 - MARGIN, 25_000)),
    ("instruction:4", None, (99_000 - MARGIN, 99_002 + MARGIN)),
])
def test_windows(first: str, last: str | None, cycles: tuple[int, int], program: Program, timeline: Timeline) -> None:
    window = Window(Point.parse("--from", first), Point.parse("--to", last) if last else None)
    assert window.cycles(program, timeline) == cycles


@pytest.mark.parametrize(("first", "last", "message"), [
    ("100000", None, "cycle 100,000: the run has 100,000 cycles"),
    ("9", "3", "from cycle 9 to cycle 3: cycles 9 to 3 are not in order"),
    ("instruction:2", "instruction:1", "not in order"),
    ("layer:/conv3", None, "layer '/conv3': the program has none of that name; there are '/conv"),
    ("instruction:5", None, "instruction 5: the program has 5 instructions"),
])
def test_windows_that_a_run_does_not_have(first: str, last: str | None, message: str, program: Program,
                                          timeline: Timeline) -> None:
    window = Window(Point.parse("--from", first), Point.parse("--to", last) if last else None)
    if first == "instruction:2":
        timeline.tracks["POST"] = track((0, TOKEN, 2), (40_000, COMPUTING, 2), (40_500, IDLE, -1))
    with pytest.raises(InputError, match=message):
        window.cycles(program, timeline)


def test_an_instruction_that_a_stalled_run_did_not_reach(program: Program, timeline: Timeline) -> None:
    timeline.tracks["ARRAY"] = track((0, TOKEN, 1))
    with pytest.raises(InputError, match="instruction 1: the run ended before it began"):
        Point(instruction=1).span(program, timeline)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "0x10", "layer:", "layer", "instruction:x", "instruction:-1", "end:3"])
def test_what_is_no_point_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--from .*: must be a cycle, layer:NAME or instruction:N"):
        Point.parse("--from", text)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("program") / "digits.loom"
    assert main(["compile", str(digits.MODEL), "-o", str(path), "--config", "tiny"]) == 0
    return ["run", str(path), "--input", str(IMAGE), "--preprocess", "digits"]


@pytest.mark.parametrize(("options", "message"), [
    (["--waves", "w.vcd", "--backend", "emulator"], "only the rtl backend has waveforms"),
    (["--waves", "w.txt"], "waveforms are written as .vcd or .fst"),
    (["--waves", "absent/w.vcd"], "cannot be written"),
    (["--waves", "w.vcd", "--layer", "a", "--instruction", "3"], "--layer and --instruction: each says where"),
    (["--waves", "w.vcd", "--layer", "a", "--to", "3"], "--layer and --to: the former says the end too"),
    (["--waves", "w.vcd", "--waves-limit", "0"], "--waves-limit 0.0: must be above 0"),
    (["--waves", "w.vcd", "--to", "next"], "--to next: must be a cycle"),
    (["--layer", "a"], "--layer: bounds waveforms, and there are none"),
    (["--to", "5"], "--to: bounds waveforms, and there are none"),
])
def test_options_that_do_not_fit(options: list[str], message: str, command: list[str], tmp_path: Path,
                                 monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command, *options]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_waves_of_cycles_and_of_an_instruction(command: list[str], tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    whole, part = tmp_path / "cycles.vcd", tmp_path / "instruction.vcd"
    assert main([*command, "--waves", str(whole), "--from", "100", "--to", "2000"]) == 0
    assert main([*command, "--waves", str(part), "--instruction", "3"]) == 0
    reported = capsys.readouterr().err.splitlines()[-1].replace(",", "").split()
    first, last = int(reported[3]), int(reported[5])
    assert 100 < first < last < 2000
    everything, instruction = Waveform(str(whole)), Waveform(str(part))
    assert [int(time) for time, _ in everything["TOP.top.clk"].tv] == list(range(200, 4002))
    assert [int(time) for time, _ in instruction["TOP.top.clk"].tv] == list(range(2 * first, 2 * last + 2))
    causes = dict(everything["TOP.top.events__causes"].tv)
    for time, value in instruction["TOP.top.events__causes"].tv[1:]:
        assert causes[time] == value


def test_a_file_that_would_outgrow_its_limit_is_not_written(command: list[str], tmp_path: Path,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "large.vcd"
    assert main([*command, "--waves", str(path), "--to", "40000", "--waves-limit", "0.01"]) == 2
    assert "40,001 cycles would take" in (error := capsys.readouterr().err)
    assert "more than the limit of 0.0 GB: choose at most" in error
    assert not path.exists()
