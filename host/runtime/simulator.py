"""The simulator that programs of a configuration run on."""

from pathlib import Path

from arrayloom.isa.config import Config
from arrayloom.sim.rtl.build import Build, build
from arrayloom.sim.rtl.design import FAST, accelerator, digest_files

WORKLOAD = ("workload.py", "workload_network.py")   # by name, since they need the compiler


def simulator_of(config: Config) -> Build:
    """The simulator of ``config``: the optimized one where it was asked for on this machine, else it is built at need.

    Raises ``ToolError`` and ``BuildError``.
    """
    return build(accelerator(config), FAST, workload=workload_digest())


def workload_digest() -> str:
    """Changes with what runs to find out what to optimize, and so with the optimized builds that are taken."""
    return digest_files(map(Path(__file__).with_name, WORKLOAD))
