"""Stores verdicts in a file, one JSON object per line, so that an interrupted run can be resumed."""

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from arrayloom.host.runtime.errors import InputError
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.design import digest_files
from benchmarks.mutation.stimuli import SUPPORT, TESTS

OWN = Path(__file__).parent
DECIDING = ("equivalence", "cut", "liveness", "stimuli", "graphs", "hunt")     # modules that affect verdicts


@dataclass(frozen=True)
class Verdict:
    """A stage's verdict on a mutant: the stimulus that failed and how, or that nothing was found."""

    stage: str
    mutant: int
    found: tuple[str, str] | None


def key_of(build: Build) -> str:
    """A hash of the hardware, its faults, and the code that judges them."""
    files = [OWN / f"{name}.py" for name in DECIDING]
    for folder in SUPPORT:
        files += [path for path in sorted((TESTS / folder).rglob("*")) if path.suffix in (".py", ".json")]
    return digest_files(files, str(build.library))[:16]


class Kept(AbstractContextManager["Kept"]):
    """The verdicts in ``path`` stored under ``key``; without a path, nothing is loaded or stored."""

    def __init__(self, path: Path | None, key: str) -> None:
        self._path, self._key = path, key
        self._known = {(one.stage, one.mutant): one for one in self._read()} if path and path.exists() else {}
        try:
            self._file = path.open("a", encoding="utf-8") if path else None
        except OSError as error:
            raise InputError(f"--resume {path}: cannot be written: {error.strerror}") from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file:
            self._file.close()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, stage: str, mutants: Iterable[int]) -> dict[int, Verdict]:
        """The known verdicts of that stage."""
        return {mutant: self._known[stage, mutant] for mutant in mutants if (stage, mutant) in self._known}

    def add(self, verdict: Verdict) -> None:
        self._known[verdict.stage, verdict.mutant] = verdict
        if self._file:
            self._file.write(json.dumps({"key": self._key} | asdict(verdict)) + "\n")
            self._file.flush()

    def _read(self) -> Iterator[Verdict]:
        assert self._path is not None
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--resume {self._path}: cannot be read as text: {error}") from None
        for number, line in enumerate(lines, 1):
            one = self._parsed(number, line)
            if one["key"] == self._key:
                found = one["found"]
                yield Verdict(one["stage"], one["mutant"], (found[0], found[1]) if found else None)

    def _parsed(self, number: int, line: str) -> dict[str, Any]:
        try:
            one = json.loads(line)
            if {"key", "stage", "mutant", "found"} <= set(one) and (one["found"] is None or len(one["found"]) == 2):
                return dict(one)
        except (ValueError, TypeError):
            pass
        raise InputError(f"--resume {self._path}: line {number} is not a verdict of this command: name another file")
