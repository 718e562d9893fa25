"""All passages of a checkout."""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from arrayloom.host.runtime.errors import InputError
from benchmarks.prose.other_source import COMMENT_OF, commented_passages, document_passages
from benchmarks.prose.passage import Passage
from benchmarks.prose.python_source import python_passages

ROOT = Path(__file__).parents[2]
READERS = {".py": python_passages, ".md": document_passages, **dict.fromkeys(COMMENT_OF, commented_passages)}
"""Reader of a file's passages, by the file's suffix; other files have no prose."""


def passages_of(folders: Iterable[str] = (), root: Path = ROOT) -> list[Passage]:
    """The passages of the tracked files, in the order of files and lines.

    Parameters
    ----------
    folders
        Files or folders to which to restrict them, relative to ``root``; empty: all.
    root
        The checkout.

    Raises
    ------
    InputError
        ``root`` is not a checkout, or no tracked file is in ``folders``.
    """
    listed = subprocess.run(["git", "ls-files", "-z", "--", *folders], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        raise InputError(f"{root}: git cannot list its files ({listed.stderr.strip()}); run the command in a checkout")
    paths = [Path(name) for name in listed.stdout.split("\0") if name]
    if not paths:
        raise InputError(f"{', '.join(folders) or root}: no tracked file is there; give files or folders of the checkout")
    return sorted(passage for path in paths for passage in _passages(path, root) if passage.is_prose())


def _passages(path: Path, root: Path) -> Iterator[Passage]:
    if not (root / path).is_file() or (root / path).is_symlink():
        return iter(())
    reader = READERS.get(path.suffix)
    return reader(path, (root / path).read_text(encoding="utf-8")) if reader else iter(())
