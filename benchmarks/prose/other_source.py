"""Passages of everything but Python: documents, and comments of C++, protocols, configuration and pages."""

import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.prose.passage import Kind, Passage

_SLASHES = re.compile(r"(?:^|\s)//[/!<]*\s?(.*)|^\s*/?\*+/?\s?(.*?)(?:\*/)?$")
_HASH = re.compile(r"(?:^|\s)#(?!!)\s?(.*)")
_TAG = re.compile(r"<!--\s*(.*?)\s*(?:-->|$)")
COMMENT_OF = {
    **dict.fromkeys((".cpp", ".h", ".proto", ".js", ".css", ".v", ".vlt"), _SLASHES),
    **dict.fromkeys((".toml", ".yaml", ".yml", ".tcl"), _HASH),
    ".html": _TAG,
}
"""Pattern of a line's comment, by the suffix of the file."""

_STARTS_ITEM = re.compile(r"\s*(?:[-*|>#]|\d+\.)\s*")
_FENCE = "```"
_CODE_INDENT = " " * 4


def commented_passages(path: Path, source: str) -> Iterator[Passage]:
    """Comments of one file; those on adjacent lines are one passage. The suffix must be in ``COMMENT_OF``."""
    pattern, block, first = COMMENT_OF[path.suffix], [], 0
    for number, line in enumerate([*source.splitlines(), ""], 1):
        found = pattern.search(line)
        if found:
            first = first if block else number
            block.append(next((text for text in found.groups() if text), "").strip())
        elif block:
            yield Passage(path, first, Kind.COMMENT, " ".join(filter(None, block)))
            block = []


def document_passages(path: Path, source: str) -> Iterator[Passage]:
    """Paragraphs, list items and table rows of a Markdown document, without its code blocks."""
    block: list[str] = []
    first, fenced, item = 0, False, False
    for number, line in enumerate([*source.splitlines(), ""], 1):
        fence = line.lstrip().startswith(_FENCE)
        fenced ^= fence
        code = fenced or fence or (line.startswith(_CODE_INDENT) and not block and not item)
        starts = bool(_STARTS_ITEM.match(line))
        if block and (code or starts or not line.strip()):
            yield Passage(path, first, Kind.DOCUMENT, " ".join(block))
            block = []
        if line.strip() and not code:
            first = first if block else number
            block.append(line.strip())
        item = (item or starts) if not line.strip() or line.startswith(" ") else starts
