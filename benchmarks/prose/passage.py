"""A passage: one piece of prose, with the file and line where it begins."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_WORD = re.compile(r"[A-Za-z][a-z]+")
FEWEST_WORDS = 4


class Kind(StrEnum):
    """What a passage is to its reader."""

    COMMENT = "comment"
    DOCSTRING = "docstring"
    MESSAGE = "message"
    DOCUMENT = "document"


@dataclass(frozen=True, order=True)
class Passage:
    """``path`` is relative to the checkout; ``line`` counts from 1."""

    path: Path
    line: int
    kind: Kind
    text: str

    @property
    def place(self) -> str:
        """File and line, in the form that editors open."""
        return f"{self.path}:{self.line}"

    def is_prose(self) -> bool:
        """Whether there are enough words for a sentence; shorter texts are names."""
        return len(_WORD.findall(self.text)) >= FEWEST_WORDS
