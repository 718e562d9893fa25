"""The accelerator's behaviour towards host and memory, to the cycle, as a digest, and the records to compare it with.

``records.json`` holds the cycles and the digest of each session (``sessions.py``). After a change of the hardware that is
meant to change the timing or the accesses, record them again: ``python -m sessions``, with tests/support and this folder on
PYTHONPATH.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("records.json")
DIGITS = 16     # hexadecimal digits of a digest


@dataclass(frozen=True)
class Record:
    """``cycles`` of the whole session, and a digest of everything observed in it."""

    cycles: int
    digest: str


class Transcript:
    """Records observations in sequence."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=DIGITS // 2)

    def add(self, what: str, *values: Any) -> None:
        """Adds arrays as bytes, anything else as text."""
        self._digest.update(what.encode())
        for value in values:
            self._digest.update(value.tobytes() if isinstance(value, np.ndarray) else f"{value};".encode())

    def record(self, cycles: int) -> Record:
        return Record(cycles, self._digest.hexdigest())


@cache
def recorded() -> dict[str, Record]:
    """The records by session."""
    return {name: Record(**one) for name, one in json.loads(FILE.read_text(encoding="utf-8")).items()}


def write(records: dict[str, Record]) -> None:
    """Writes the file anew."""
    lines = [f"  {json.dumps(name)}: {json.dumps(asdict(one))}" for name, one in sorted(records.items())]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def compare(name: str, seen: Record) -> None:
    """Raises ``AssertionError`` if the observations differ from the recorded ones."""
    known = recorded().get(name)
    assert known is not None, f"session {name!r}: nothing is recorded of it; run python -m sessions"
    assert seen == known, (f"session {name!r}: {seen.cycles} cycles with digest {seen.digest}; recorded are {known.cycles} "
                           f"with {known.digest}. If timing or registers were to change, run python -m sessions")
