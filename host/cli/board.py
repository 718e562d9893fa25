"""``arrayloom board``: builds, loads or simulates a whole system with the accelerator for a board."""

import argparse
import math
from pathlib import Path
from typing import Any

from arrayloom.host.board.boards import BOARDS, Board
from arrayloom.host.cli import board_simulation
from arrayloom.host.cli.common import add_command, add_config, add_json, print_json
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.config import load_config
from arrayloom.sim.rtl.process import Stopwatch

SIMULATED = "sim"
SEED = 1
SUCCESS, TOO_SLOW = 0, 1


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "board", _run, "build a bitstream with the accelerator for a board, load it, or simulate "
                         "the whole system; needs the extra board", "arrayloom board ulx3s --build out/")
    parser.add_argument("board", choices=(*BOARDS, SIMULATED), metavar="BOARD",
                        help=f"{', '.join(f'{board.name} ({board.title})' for board in BOARDS.values())}, or {SIMULATED}: "
                             "simulate the system on this machine")
    add_config(parser, default="tiny")
    _add_build(parser.add_argument_group("build and load"))
    board_simulation.add_options(parser.add_argument_group(f"simulate, with {SIMULATED}"))
    add_json(parser)


def _add_build(group: Any) -> None:
    group.add_argument("--build", type=Path, metavar="DIR", help="folder for the bitstream and all intermediate files")
    group.add_argument("--synth-only", action="store_true", help="stop before placement, which takes a quarter of an hour")
    group.add_argument("--chip", metavar="NAME", help="the FPGA on the board: "
                       + ", ".join(f"{board.name} {'|'.join(board.chips)}" for board in BOARDS.values()))
    group.add_argument("--clock", type=float, metavar="MHZ", help="of accelerator and memory (default: "
                       + ", ".join(f"{board.name} {board.clock_mhz:g}" for board in BOARDS.values()) + ")")
    group.add_argument("--seed", type=int, help=f"seed of the placement (default {SEED})")
    group.add_argument("--load", type=Path, metavar="DIR", help="load the bitstream built there, with openFPGALoader")


def _run(options: argparse.Namespace) -> int:
    if options.board == SIMULATED:
        _refuse(options, ("build", "synth_only", "chip", "clock", "seed", "load"),
                f"is for a board, not for {SIMULATED}")
        return board_simulation.run(options)
    board = BOARDS[options.board]
    _refuse(options, board_simulation.OPTIONS, f"is for the simulated system; take 'arrayloom board {SIMULATED}'")
    if (options.build is None) == (options.load is None):
        raise InputError(f"board {board.name}: give --build DIR or --load DIR, one of them")
    if options.load is not None:
        _refuse(options, ("synth_only", "chip", "clock", "seed"), "is for --build; --load loads a finished bitstream")
        return _load(board, options)
    return _build(board, options)


def _refuse(options: argparse.Namespace, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(options, name) not in (None, False):
            raise InputError(f"--{name.replace('_', '-')}: {why}")


def _build(board: Board, options: argparse.Namespace) -> int:
    from arrayloom.host.board.bitstream import BoardFlow

    clock = board.clock_mhz if options.clock is None else options.clock
    if not (math.isfinite(clock) and clock > 0):
        raise InputError(f"--clock {clock:g}: must be a positive number of MHz")
    config = load_config(options.config)
    seed = SEED if options.seed is None else options.seed
    flow = BoardFlow(board, board.chip(options.chip), config, clock, seed, options.build, Stopwatch())
    flow.generate()
    flow.synthesize()
    if not options.synth_only:
        flow.route()
        flow.pack()
    made = flow.finish()
    if options.json:
        print_json(made.figures())
    else:
        print(f"board        {board.title} {made.chip}, accelerator {made.config}")
        if made.clock_mhz is not None:
            print(f"clock        {made.clock_mhz:.1f} MHz routed, {made.target_mhz:g} MHz used, seed {made.seed}")
        for name, usage in made.usage.items():
            print(f"{name.replace('_', ' '):<12} {usage.used:,}" + (f" of {usage.available:,}" if usage.available else ""))
        print(f"seconds      {', '.join(f'{stage} {seconds:.0f}' for stage, seconds in made.seconds.items())}")
        print(f"bitstream    {made.bitstream or 'none; without --synth-only there is one'}")
        if not made.clock_met:
            print(f"FAULT: the system is slower than its clock: build with --clock {math.floor(made.clock_mhz or 0)}, or "
                  "with another --seed")
    return SUCCESS if made.clock_met else TOO_SLOW


def _load(board: Board, options: argparse.Namespace) -> int:
    from arrayloom.host.board.load import load_bitstream

    loaded = load_bitstream(board, options.load)
    if options.json:
        print_json({"board": board.name, "bitstream": str(loaded), "port": board.port})
    else:
        print(f"{loaded} is on {board.title}; for the first digit:\n"
              f"arrayloom demo --backend board --board-port {board.port}")
    return SUCCESS
