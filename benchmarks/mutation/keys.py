"""Keys of verdicts: hashes of what a verdict depends on, so that it is used again only while nothing of that changes.

A verdict depends on the netlist with its faults, and on the code that judged it: the modules of tests that its stimulus
imports, directly or through others, or the modules of the solver. Changes to other tests, and to units that the netlist
does not have, leave it valid.
"""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from arrayloom.sim.rtl.design import digest_files
from benchmarks.mutation.stimuli import SUPPORT, TESTS, stimuli

OWN = Path(__file__).parent
SOLVER, INDUCTION = "solver", "induction"
PROVERS = {SOLVER: ("equivalence", "cut", "liveness", "reserved"),
           INDUCTION: ("induction", "reached", "frames", "machine", "liveness", "reserved", "netlist_logic", "bit_logic")}
"""Stand for stimuli in verdicts about equivalence, with the modules that find them."""
DIGITS = 16


class Keys:
    """The keys of verdicts on the faults of ``netlist``."""

    def __init__(self, netlist: str) -> None:
        self._netlist = hashlib.sha256(netlist.encode()).hexdigest()
        self._decided = {one.name: (one.modules, one.record) for one in stimuli()}
        self._keys: dict[tuple[tuple[str, ...], str], str] = {}

    def of(self, by: str) -> str | None:
        """The key of verdicts by that stimulus or prover; None if there is no such stimulus any more."""
        decided = (PROVERS[by], "") if by in PROVERS else self._decided.get(by)
        if decided is None:
            return None
        if decided not in self._keys:
            modules, record = decided
            self._keys[decided] = digest_files(imported(modules), self._netlist, record)[:DIGITS]
        return self._keys[decided]


@cache
def imported(modules: Sequence[str]) -> tuple[Path, ...]:
    """The files of those modules of tests or of this package, and of all modules of tests that they import."""
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        fresh = set(_of(waiting.pop())) - found
        found |= fresh
        waiting += [name for file in fresh for name in _names(file)]
    return tuple(sorted(found))


def _of(module: str) -> Iterator[Path]:
    """The file of the module, or all files of the package."""
    for folder in (OWN, *(TESTS / name for name in SUPPORT)):
        if (file := folder / f"{module}.py").exists():
            yield file
        if (folder / module / "__init__.py").exists():
            yield from sorted((folder / module).rglob("*.py"))


@cache
def _names(file: Path) -> tuple[str, ...]:
    """First parts of the names that a file imports, wherever in it; names of other packages are no modules of tests."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {one.name.split(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return tuple(sorted(names))
