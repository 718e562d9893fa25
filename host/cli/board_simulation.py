"""``arrayloom board sim``: a digit on the simulated system, compared with the plain simulation of the accelerator."""

import argparse
import time
from pathlib import Path
from typing import Any

from arrayloom.host.board.memories import SimulatedMemory
from arrayloom.host.cli.common import print_json
from arrayloom.host.cli.verdict_report import figures, lines_of_verdict
from arrayloom.host.cli.verify import verify_watched
from arrayloom.host.models import digits
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.vision.classify import load_labels, rank
from arrayloom.isa.config import load_config

OPTIONS = ("image", "memory", "keep")
IMAGE = digits.IMAGES / "digit_7_1496.png"
SUCCESS, DIFFERENT = 0, 1


def add_options(group: Any) -> None:
    group.add_argument("--image", type=Path, metavar="IMAGE", help="a digit, bright on dark (default: one in the package)")
    group.add_argument("--memory", choices=tuple(SimulatedMemory), help="sdram, ddr3: LiteDRAM's controller and a model of "
                       "the chip; plain: the memory model of the plain simulation, with which all counters must agree "
                       f"(default {SimulatedMemory.SDRAM})")
    group.add_argument("--keep", action="store_true", help="do not run a digit, but keep the system running and print its "
                                                           "port "
                       "for --board-port of other commands")


def run(options: argparse.Namespace) -> int:
    """Runs the simulation that the options select; returns the exit code."""
    from arrayloom.host.board.simulator import running_system

    config, memory = load_config(options.config), SimulatedMemory(options.memory or SimulatedMemory.SDRAM)
    with running_system(config, memory) as port:
        if options.keep:
            return _keep(options, port)
        verdict = _verify(options, "board", port)
    plain = _verify(options, "rtl")
    same = memory is not SimulatedMemory.PLAIN or verdict.report.counters == plain.report.counters
    _show(options, memory, verdict, plain, same)
    return SUCCESS if verdict.equal and same else DIFFERENT


def _verify(options: argparse.Namespace, backend: str, port: str | None = None) -> Verdict:
    return verify_watched(digits.MODEL, [options.image or IMAGE], "digits", options.config, backend, options.json,
                          lambda chosen: open_device(backend, chosen, port))


def _keep(options: argparse.Namespace, port: str) -> int:
    if options.json:
        print_json({"port": port})
    else:
        print(f"{port}\nuntil Ctrl-C; for example: arrayloom demo --backend board --board-port {port}", flush=True)
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        return SUCCESS


def _show(options: argparse.Namespace, memory: SimulatedMemory, verdict: Verdict, plain: Verdict, same: bool) -> None:
    image = options.image or IMAGE
    (scores,) = verdict.outputs.values()
    ranking = rank(scores, 3, load_labels(digits.LABELS))
    if options.json:
        print_json({"image": str(image), "config": options.config, "backend": "board", "memory": memory,
                    "top": [vars(entry) for entry in ranking], "plain_cycles": plain.report.cycles,
                    "counters": verdict.report.counters, "plain_counters": plain.report.counters,
                    "counters_must_be_equal": memory is SimulatedMemory.PLAIN,
                    "counters_equal": verdict.report.counters == plain.report.counters} | figures(verdict))
        return
    print(image)
    for entry in ranking:
        print(f"  {entry.confidence:7.2%}  {entry.label}")
    print("\n".join(lines_of_verdict(verdict)))
    print(f"plain RTL    {plain.report.cycles:,} cycles with its own memory model")
    if memory is SimulatedMemory.PLAIN:
        print(f"counters     {'all equal to' if same else 'DIFFER from'} those of the plain RTL")
