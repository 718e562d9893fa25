"""The driver on the simulated system: digits byte for byte, counters, failures and the runs after them."""

import socketserver
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("litex", reason="the extra board is not installed")

from litex.tools.litex_server import RemoteServer

from arrayloom import Session
from arrayloom.host.board.memories import SimulatedMemory
from arrayloom.host.board.simulator import running_system
from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.runtime.backends import RtlDevice, open_device
from arrayloom.host.runtime.board.device import BoardDevice
from arrayloom.host.runtime.board.litex_clients import SerialClient
from arrayloom.host.runtime.errors import BoardError, RunError
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.session import load_program
from arrayloom.host.runtime.verify import verify_files
from arrayloom.isa.config import PRESETS
from arrayloom.isa.image import build_memory
from arrayloom.isa.registers import Control, Register
from arrayloom.sim.rtl.memory import Timing

TINY = PRESETS["tiny"]
IMAGE = digits.IMAGES / "digit_3_0705.png"
OTHER = digits.IMAGES / "digit_8_0500.png"


def inputs(image: Path) -> dict[str, np.ndarray]:
    return load_inputs(image, load_program(digits.MODEL, TINY).model_inputs, "digits")


def test_digits_over_litedram_are_onnx_runtimes(sdram_port: str) -> None:
    verdict = verify_files(digits.MODEL, [IMAGE, OTHER], "digits", "tiny",
                           opened=lambda config: open_device("board", config, sdram_port))
    plain = verify_files(digits.MODEL, [IMAGE, OTHER], "digits", "tiny", "rtl")
    assert verdict.bytes_compared == plain.bytes_compared and verdict.equal
    assert (verdict.report.words_read, verdict.report.words_written) == (plain.report.words_read, plain.report.words_written)
    assert verdict.report.cycles is not None and verdict.report.counters is not None
    assert all(sum(causes.values()) == verdict.report.cycles for causes in verdict.report.counters.values())


@pytest.mark.parametrize("timing", [Timing(), Timing(latency=9, outstanding=2, beat_interval=3)])
def test_with_the_plain_memory_every_counter_is_that_of_the_plain_simulation(timing: Timing) -> None:
    reports = []
    with running_system(TINY, SimulatedMemory.PLAIN, timing) as port:
        for device in (BoardDevice(TINY, port), RtlDevice(TINY, timing)):
            with Session(digits.MODEL, device=device) as session:
                session.run(inputs(IMAGE))
                reports.append(session.report)
    board, plain = reports
    assert board.counters == plain.counters and board.cycles == plain.cycles
    assert (board.words_read, board.words_written) == (plain.words_read, plain.words_written)


def test_a_second_image_sends_what_differs(sdram_port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    with Session(digits.MODEL, config="tiny", backend="board", port=sdram_port) as session:
        link = session.device.accelerator.link
        write = link.write

        def counted(address: int, words: list[int]) -> None:
            sent.append(len(words))
            write(address, words)

        monkeypatch.setattr(link, "write", counted)
        first = session.run(inputs(IMAGE))
        whole, sent[:] = sum(sent), []
        second = session.run(inputs(OTHER))
        assert sum(sent) < whole / 10
    with Session(digits.MODEL, config="tiny", backend="emulator") as session:
        for found, image in ((first, IMAGE), (second, OTHER)):
            for name, values in session.run(inputs(image)).items():
                assert np.array_equal(values, found[name])


def test_after_a_failed_run_comes_a_good_one(sdram_port: str) -> None:
    program = load_program(digits.MODEL, TINY)
    with Session(program, backend="board", port=sdram_port) as session:
        memory = build_memory(program)
        memory[program.code_address + 5] ^= 1
        with pytest.raises(RunError, match="instruction"):
            session.device.execute(program, memory)
        assert next(iter(session.run(inputs(IMAGE)).values())).argmax() == 3


def test_a_host_that_comes_while_a_program_runs_resets_the_core(sdram_port: str) -> None:
    program = load_program(digits.MODEL, TINY)
    device = BoardDevice(TINY, sdram_port)
    device.accelerator.load(build_memory(program))
    device.accelerator.write_register(Register.LIMIT, device.accelerator.base + program.memory_bytes)
    device.accelerator.write_register(Register.PROGRAM, device.accelerator.base + program.code_address)
    device.accelerator.write_register(Register.CONTROL, 1 << Control.START)
    device.close()
    with Session(program, backend="board", port=sdram_port) as session:
        assert session.device.accelerator.read_register(Register.LIMIT) == 0
        assert next(iter(session.run(inputs(IMAGE)).values())).argmax() == 3


def test_through_litex_server(sdram_port: str) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as free:
        number = free.server_address[1]
    server = RemoteServer(SerialClient(sdram_port, 1, 5.0), "127.0.0.1", number)
    server.open()
    thread = threading.Thread(target=server._serve_thread, daemon=True)
    thread.start()
    with Session(digits.MODEL, config="tiny", backend="board", port=f"litex://127.0.0.1:{number}") as session:
        assert next(iter(session.run(inputs(OTHER)).values())).argmax() == 8
    server.comm.close()


def test_commands_take_the_board(sdram_port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = str(tmp_path / "digits.loom")
    assert main(["compile", str(digits.MODEL), "-o", program, "--config", "tiny"]) == 0
    board = ["--backend", "board", "--board-port", sdram_port]
    assert main(["run", program, "--input", str(IMAGE), "--preprocess", "digits", *board]) == 0
    assert main(["score", program, str(IMAGE), "--preprocess", "digits", *board]) == 0
    assert main(["demo", str(IMAGE), *board]) == 0
    assert "differing    0 bytes" in capsys.readouterr().out


def test_another_configuration_is_refused_by_name(sdram_port: str) -> None:
    with pytest.raises(BoardError, match=r"is of configuration 'tiny' and the program is for 'edge'"):
        open_device("board", PRESETS["edge"], sdram_port)


def test_a_system_that_has_ended_is_no_board() -> None:
    with running_system(TINY, SimulatedMemory.SDRAM) as port:
        pass
    with pytest.raises(BoardError, match=r"cannot be opened"):
        open_device("board", TINY, port)


def test_the_command_compares_counters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "sim", "--memory", "plain"]) == 0
    assert "counters     all equal to those of the plain RTL" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("config", "memory"), [("tiny", "ddr3"), ("edge", "sdram"), ("edge", "ddr3"), ("edge", "plain")])
def test_digits_on_other_systems(config: str, memory: str) -> None:
    assert main(["board", "sim", "--config", config, "--memory", memory]) == 0
