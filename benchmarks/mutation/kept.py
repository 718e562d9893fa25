"""Stores verdicts in a file, one JSON object per line, so that an interrupted run can be resumed."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from arrayloom.host.runtime.errors import InputError


@dataclass(frozen=True)
class Verdict:
    """What the stimulus ``by``, or the solver, found about a mutant: how it failed, or None if it did not."""

    mutant: int
    by: str
    found: str | None


class Kept(AbstractContextManager["Kept"]):
    """The verdicts in ``path`` whose key is still that of their stimulus; without a path, nothing is loaded or stored.

    ``key_of`` returns the key of a stimulus, None if there is no such stimulus.
    """

    def __init__(self, path: Path | None, key_of: Callable[[str], str | None]) -> None:
        self._path, self._key_of = path, key_of
        self._known: dict[int, dict[str, Verdict]] = {}
        for one in self._read() if path and path.exists() else ():
            self._enter(one)
        try:
            self._file = path.open("a", encoding="utf-8") if path else None
        except OSError as error:
            raise InputError(f"--resume {path}: cannot be written: {error.strerror}") from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file:
            self._file.close()

    def __len__(self) -> int:
        return sum(map(len, self._known.values()))

    def of(self, mutant: int) -> dict[str, Verdict]:
        """The known verdicts on that mutant, by stimulus."""
        return self._known.get(mutant, {})

    def add(self, verdict: Verdict) -> None:
        self._enter(verdict)
        if self._file:
            self._file.write(json.dumps({"key": self._key_of(verdict.by)} | asdict(verdict)) + "\n")
            self._file.flush()

    def _enter(self, verdict: Verdict) -> None:
        self._known.setdefault(verdict.mutant, {})[verdict.by] = verdict

    def _read(self) -> Iterator[Verdict]:
        assert self._path is not None
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--resume {self._path}: cannot be read as text: {error}") from None
        for number, line in enumerate(lines, 1):
            one = self._parsed(number, line)
            if one["key"] == self._key_of(one["by"]):
                yield Verdict(one["mutant"], one["by"], one["found"])

    def _parsed(self, number: int, line: str) -> dict[str, Any]:
        try:
            one = json.loads(line)
            if (isinstance(one, dict) and {"key", "mutant", "by", "found"} <= set(one) and isinstance(one["mutant"], int)
                    and isinstance(one["key"], str) and isinstance(one["by"], str)
                    and isinstance(one["found"], str | None)):
                return one
        except ValueError:
            pass
        raise InputError(f"--resume {self._path}: line {number} is not a verdict of this command: name another file")
