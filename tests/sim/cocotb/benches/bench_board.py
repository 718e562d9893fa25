"""The whole accelerator with preset ``tiny``, with cocotbext-axi on both of its buses."""

import random
from pathlib import Path
from typing import Any

import board_checks as checks
import board_runs as runs
import cocotb
import numpy as np
from board_programs import MEMORY_BYTES, Mixed, load_words, raw_program, store_words

from arrayloom.isa.config import PRESETS
from arrayloom.isa.image import read_slot
from arrayloom.isa.instructions import End
from arrayloom.isa.program import Program
from arrayloom.isa.registers import RESET_VALUES, Error, Register
from arrayloom.sim.cocotb.board import Board
from arrayloom.sim.cocotb.memory import Traffic
from arrayloom.sim.cocotb.runner import read_settings

BASE = 0x87_6543_2000       # above 32 bits
CONFIG = PRESETS["tiny"]


async def open_board(dut: Any, memory_bytes: int = MEMORY_BYTES) -> Board:
    """A board with random memory contents, and bus traffic according to the settings."""
    traffic = Traffic(**read_settings()["traffic"])
    memory = np.random.default_rng(traffic.seed).integers(0, 256, memory_bytes, np.uint8)
    return await Board.open(dut, CONFIG, memory, BASE, traffic)


@cocotb.test()
async def check(dut: Any) -> None:
    """Runs the check of that name."""
    await checks.CHECKS[read_settings()["name"]](await open_board(dut))


@cocotb.test()
async def faults(dut: Any) -> None:
    """Runs the faults of that group."""
    await checks.check_faults(await open_board(dut), read_settings()["group"])


@cocotb.test()
async def programs(dut: Any) -> None:
    """Random programs in sequence."""
    board = await open_board(dut)
    for seed in read_settings()["seeds"]:
        await runs.check_program(board, Mixed(CONFIG, seed, 2).program)
        words = board.bus.read_words, board.bus.written_words
        assert await runs.read_64(board, Register.BEATS_WRITTEN) == words[1]
        # FETCH's read-ahead may still arrive after the end.
        assert words[0] - 64 <= await runs.read_64(board, Register.BEATS_READ) <= words[0]
        board.bus.read_words = board.bus.written_words = 0


@cocotb.test()
async def network(dut: Any) -> None:
    """Runs a compiled program on the given inputs; leaves the outputs, integers by name."""
    settings = read_settings()
    program = Program.load(Path(settings["program"]))
    board = await open_board(dut, program.memory_bytes)
    with np.load(settings["inputs"]) as inputs:
        await runs.check_program(board, program, dict(inputs))
    np.savez("outputs.npz", **{output.name: read_slot(board.memory, output.slot) for output in program.outputs})


@cocotb.test()
async def registers(dut: Any) -> None:
    """Writes of single bytes leave the others unchanged, with concurrent reads of other registers."""
    board = await open_board(dut)
    rng = random.Random(read_settings()["traffic"]["seed"])
    identity = CONFIG.digest_word
    kept = {register: bytearray(RESET_VALUES.get(register, 0).to_bytes(4, "little"))
            for register in (Register.PROGRAM, Register.BASE, Register.WATCHDOG)}

    async def write() -> None:
        for _ in range(100):
            register, first = rng.choice(list(kept)), rng.randrange(4)
            data = rng.randbytes(rng.randint(1, 4 - first))
            kept[register][first:first + len(data)] = data
            await board.registers.write_bytes(register + first, data)

    async def read() -> None:
        for _ in range(100):
            assert await board.read_register(Register.CONFIG) == identity

    for task in [cocotb.start_soon(write()), cocotb.start_soon(read())]:
        await task
    for register, data in kept.items():
        assert await board.read_register(register) == int.from_bytes(data, "little"), register.name
    await board.registers.write_bytes(Register.CONTROL + 1, b"\xff")
    assert not (await runs.status(board)).busy


@cocotb.test()
async def dead_memory(dut: Any) -> None:
    """When memory stops answering, a run fails, and none can begin until accelerator and memory are reset."""
    board = await open_board(dut)
    fetches, loads, stores = End(), load_words(0, 0, 500), store_words(1 << 16, 0, 500)
    for delay, instruction in ((0, fetches), (150, loads), (150, stores)):
        await runs.start(board, raw_program(CONFIG, instruction.encode() + End().encode()))
        await board.run(delay + 1)
        board.bus.freeze()
        word = await runs.finish(board)
        assert word.failed and word.error is Error.BUS_STUCK and word.bus_stuck, (delay, word)
        board.bus.thaw()
        await board.run(2000)       # cycles in which memory answers outstanding requests
        assert await runs.refused(board.write_register(Register.CONTROL, runs.START))
        await board.reset()
        await checks.works(board)
