"""The checks required to sign off the hardware: commands, and how to read their results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Result = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """The result of a command in words, and whether the check holds."""

    found: str
    met: bool


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Parameters
    ----------
    name : str
        Name, also of the file with its results.
    must : str
        The requirement, in words.
    command : tuple of str
        Arguments of the interpreter; ``--json FILE`` or, for pytest, ``--junitxml FILE`` is added.
    read : callable
        Converts the results to a verdict.
    minutes : int
        Approximate duration on two cores.
    """

    name: str
    must: str
    command: tuple[str, ...]
    read: Callable[[Result], Verdict]
    minutes: int

    @property
    def is_tests(self) -> bool:
        return self.command[:2] == ("-m", "pytest")

    @property
    def text(self) -> str:
        """The command line for users."""
        return " ".join(self.command[1:] if self.is_tests else ("python", *self.command))


def _lint(result: Result) -> Verdict:
    configs = result["configs"].values()
    left, waived = sum(len(one["unexplained"]) for one in configs), sum(one["waived"] for one in configs)
    return Verdict(f"{left} without a reason, {waived} waived, {len(configs)} configurations", left == 0)


def _second_simulator(result: Result) -> Verdict:
    programs = result["programs"]
    bytes_, unknown = (sum(one[key] for one in programs) for key in ("differing_bytes", "unknown_outputs"))
    equal = sum(one["cycles"] == one["verilator_cycles"] for one in programs)
    return Verdict(f"{bytes_} bytes differ, {unknown} unknown outputs, cycles equal in {equal} of {len(programs)} programs",
                   bool(programs) and not bytes_ and not unknown and equal == len(programs))


def _proofs(result: Result) -> Verdict:
    proofs = result["proofs"]
    failed = [one["name"] for one in proofs if one["result"] == "failed"]
    unbounded = sum(one["result"] == "proved" for one in proofs)
    planted, caught = (sum(one[key] for one in proofs) for key in ("planted", "caught"))
    blunt = [one["name"] for one in proofs if not one["planted"]]
    bounded = len(proofs) - unbounded - len(failed)
    words = f"{unbounded} proved, {bounded} to a bound, {len(failed)} failed; planted faults found: {caught} of {planted}"
    return Verdict(words, bool(proofs) and not failed and not blunt and caught == planted)


def _mutation(result: Result) -> Verdict:
    unexplained = sum(not one["explanation"] for one in result["survivors"])
    real = result["mutants"] - result["equivalent"]
    words = (f"{result['score']:.1%} of {real:,} that change something; {unexplained} of {result['survived']} survivors "
             "without an explanation")
    return Verdict(words, result["score"] >= 0.95 and not unexplained)


def _source_mutation(result: Result) -> Verdict:
    return Verdict(f"{result['caught']} of {result['mutants']}", result["survived"] == 0)


def _coverage(result: Result) -> Verdict:
    shares = {kind: _share(result["units"], kind) for kind in ("lines", "branches", "toggles")}
    missed = sum(len(group["missed"]) for group in result["functional"].values())
    words = ", ".join(f"{share:.1%} of {kind}" for kind, share in shares.items())
    least = {"lines": 0.95, "branches": 0.95, "toggles": 0.90}
    left = len(result["unexplained"])
    return Verdict(f"{words}; {missed} goals missed, {left} points neither hit nor explained",
                   all(shares[kind] >= share for kind, share in least.items()) or left == 0)


def _share(units: Mapping[str, Mapping[str, list[int]]], kind: str) -> float:
    hit, total = (sum(unit[kind][index] for unit in units.values()) for index in (0, 1))
    return hit / max(total, 1)


def _tests(result: Result) -> Verdict:
    ran = result["tests"] - result["skipped"]
    bad = result["failures"] + result["errors"]
    return Verdict(f"{ran - bad:,} of {ran:,} pass", ran > 0 and not bad)


PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
CHECKS = (
    Check("lint", "no warning of Verilator's -Wall without a reason", ("-m", "benchmarks.lint"), _lint, 2),
    Check("proofs", "every proof holds, and fails on each fault that is planted for it", ("-m", "benchmarks.proofs"),
          _proofs, 20),
    Check("second_simulator", "Icarus Verilog with nothing known at power-up: same bytes and cycles, nothing unknown",
          ("-m", "benchmarks.second_simulator"), _second_simulator, 4),
    Check("coverage", "95 % of lines and branches and 90 % of toggles of control, or every hole explained",
          ("-m", "benchmarks.coverage"), _coverage, 10),
    Check("mutation", "95 % of faults planted in the netlist are noticed, every survivor is explained",
          ("-m", "benchmarks.mutation"), _mutation, 30),
    Check("source_mutation", "every fault planted by hand is noticed by its tests",
          ("-m", "benchmarks.mutation", "--source"), _source_mutation, 30),
    Check("bus_breaches", "10,000 breaches of the bus's rules: no hang, no write outside, no false DONE, next run exact",
          (*PYTEST, "-m", "slow", "tests/sim/cocotb/test_bus_breaches.py"), _tests, 10),
    Check("programs", "every program that the tests compile has its accesses in order",
          (*PYTEST, "tests/isa", "tests/compiler"), _tests, 4),
)
"""The checks in order of execution, cheap ones first."""
