"""A proof: a claim about a unit, the method of deciding it, and the faults with which it must fail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from .faults import Fault
from .harness import ASSUMPTION, CLAIM, COVER, Harness
from .solving import WITH, WITHOUT, ask, step_of, write_system
from .trace import table

SECONDS = 600       # time limit of one question to a solver, unless a proof sets another


class Method(Enum):
    """The method of deciding a claim about every cycle."""

    INDUCTION = "induction"     # from reset for ``depth`` cycles, and by induction over ``depth`` cycles
    FLUSH = "any state"         # ``depth`` cycles after any state: all earlier inputs have left the pipeline
    BOUNDED = "bounded"         # from reset for ``depth`` cycles only


class ProofError(AssertionError):
    """A claim that does not hold; the message shows the states that lead to the failure."""


@dataclass(frozen=True)
class Proof:
    """A proof by a solver.

    Attributes
    ----------
    name
        A unique name.
    unit
        The unit that the claim is about.
    claim
        The claim, in one sentence.
    harness
        Makes the harness.
    method
        The method of deciding it.
    depth
        The number of cycles in the method.
    solver
        ``yices`` or ``z3``.
    faults
        The proof must fail with each of them.
    apart
        Claims so hard that their induction step is a separate question.
    cover_depth
        The number of cycles within which the covers are reached.
    cover_solver
        The solver that reaches them.
    slow
        Whether the proof takes long.
    slow_faults
        Whether its faults are tested only with the slow tests.
    """

    name: str
    unit: str
    claim: str
    harness: Callable[[], Harness]
    method: Method = Method.INDUCTION
    depth: int = 1
    solver: str = "yices"
    faults: Sequence[Fault] = field(default=())
    apart: Sequence[str] = field(default=())
    cover_depth: int = 12
    cover_solver: str = "yices"
    slow: bool = False
    slow_faults: bool = False
    seconds: int = SECONDS

    @property
    def result(self) -> str:
        """The result of a successful proof."""
        return f"bounded to {self.depth}" if self.method is Method.BOUNDED else "proved"

    @property
    def how(self) -> str:
        return self.method.value

    def check(self) -> None:
        """Raises ``ProofError`` if a claim does not hold, or if the assumptions make it vacuous."""
        harness, folder = self._written()
        self._decide(harness, folder)
        self._reach(harness, folder)
        rmtree(folder)

    def fails_with(self, fault: Fault) -> bool:
        """Whether a claim fails with the planted fault."""
        with fault.planted():
            harness, folder = self._written()
        try:
            self._decide(harness, folder)
        except ProofError:
            return True
        finally:
            rmtree(folder)
        return False

    def _written(self) -> tuple[Harness, Path]:
        harness, folder = self.harness(), Path(mkdtemp(prefix=f"proof-{self.name.replace(' ', '-')}-"))
        write_system(folder, harness.rtlil())
        if not harness.names(CLAIM):
            raise ValueError(f"proof {self.name!r}: claims nothing")
        if harness.names(ASSUMPTION) and not harness.names(COVER):
            raise ValueError(f"proof {self.name!r}: assumes something and covers nothing; say what the assumptions must "
                             f"allow")
        return harness, folder

    def _decide(self, harness: Harness, folder: Path) -> None:
        depth = str(self.depth)
        match self.method:
            case Method.INDUCTION:
                self._require(harness, folder, "from reset", ["-t", str(self.depth + 1)])
                self._step(harness, folder)
            case Method.FLUSH:
                self._require(harness, folder, "from any state", ["--noinit", "-t", f"{depth}:{self.depth + 1}"])
            case Method.BOUNDED:
                self._require(harness, folder, "from reset", ["-t", str(self.depth + 1)])

    def _step(self, harness: Harness, folder: Path) -> None:
        if not self.apart:
            self._require(harness, folder, "induction", ["-i", "-t", str(self.depth)])
            return
        claims = harness.names(CLAIM)
        apart = [harness.claim_named(name) for name in self.apart]
        for asked in ([name for name in claims if name not in apart], *([name] for name in apart)):
            self._require(harness, folder, "induction", step_of(folder, self.depth, claims, asked), WITHOUT)

    def _require(self, harness: Harness, folder: Path, start: str, options: list[str], system: str = WITH) -> None:
        trace = folder / f"{start.replace(' ', '_')}.vcd"
        if not ask(folder, self.solver, self.seconds, *options, trace=trace.name, system=system).holds:
            raise ProofError(f"{self.name}: {self.claim}\nfails, {start}; waveform: {trace}\n{table(trace, harness)}")

    def _reach(self, harness: Harness, folder: Path) -> None:
        if not harness.names(COVER):
            return
        answer = ask(folder, self.cover_solver, self.seconds, "-c", "-t", str(self.cover_depth), trace="cover%.vcd")
        if not answer.holds:
            raise ProofError(f"{self.name}: not all of {', '.join(harness.names(COVER))} are reached within "
                             f"{self.cover_depth} "
                         f"cycles, so that the proof says less than it seems\n{answer.text[-1500:]}")
