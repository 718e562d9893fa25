"""``arrayloom simulator``: builds and optimizes a configuration's simulator before the first run needs it."""

import argparse
import time
from typing import Any

from arrayloom.host.cli.common import add_command, add_config, add_json, print_json
from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.isa.config import Config, load_config
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.design import FAST, accelerator
from arrayloom.sim.rtl.process import Stopwatch
from arrayloom.sim.rtl.toolchain import find_toolchain, require_gcc

STEPS = ("build", "counting_build", "workload", "optimized_build")


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "simulator", _run, "build the simulator of an accelerator before the first run needs it",
                         "arrayloom simulator --config 16x16 --optimize")
    add_config(parser)
    parser.add_argument("--optimize", action="store_true", help="build it a second time with profile-guided optimization "
                        "from a run of a network; later runs use that build")
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    config = load_config(options.config)
    seconds = _make(config, options.optimize)
    made = simulator_of(config)
    if options.json:
        print_json({"config": config.name, "library": str(made.library), "optimized": made.optimized}
                   | {f"{step}_seconds": seconds.get(step) for step in STEPS})
        return 0
    for step in STEPS if options.optimize else STEPS[:1]:
        print(f"{step.replace('_', ' '):<16} {f'{seconds[step]:.1f} s' if step in seconds else 'in the cache'}")
    print(f"{'runs on':<16} {'the optimized' if made.optimized else 'the'} build, {made.library}")
    return 0


def _make(config: Config, optimized: bool) -> dict[str, float]:
    """Seconds of the executed steps; the results of others are in the cache."""
    if optimized:
        require_gcc(find_toolchain())       # check before minutes of building
    report = _Report()
    begin = time.perf_counter()
    build(accelerator(config), FAST, report=report)
    seconds = {"build": time.perf_counter() - begin} if report.called else {}
    if not optimized:
        return seconds
    from arrayloom.host.runtime.workload import workload_of
    from arrayloom.sim.rtl.optimize import optimize

    taken = optimize(accelerator(config), workload_of(config), report=report).seconds
    return seconds | ({} if taken is None else vars(taken))


class _Report(Stopwatch):
    """Records whether anything was reported, which happens only if something is built."""

    called = False

    def __call__(self, text: str) -> None:
        self.called = True
        super().__call__(text)
