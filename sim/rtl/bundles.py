"""Compiles source files together: each compilation reads the same headers, which takes as long as 100 KB of Verilator's
files.

Verilator's files may be included in one another, as with its option --output-groups.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

BUNDLE_BYTES = 600_000
"""Size that keeps two compilers equally busy on the smallest design; a large design has one bundle per large file."""


def bundles(files: Iterable[Path], limit: int = BUNDLE_BYTES) -> list[list[Path]]:
    """The files in groups of at most ``limit`` bytes, each file larger than that alone; the largest group first."""
    groups: list[list[Path]] = []
    sizes: list[int] = []
    for file in sorted(files, key=lambda file: (-file.stat().st_size, file.name)):
        size = file.stat().st_size
        place = next((index for index, other in enumerate(sizes) if other + size <= limit), None)
        if place is None:
            groups.append([file])
            sizes.append(size)
        else:
            groups[place].append(file)
            sizes[place] += size
    return [group for _, group in sorted(zip(sizes, groups, strict=True), key=lambda pair: -pair[0])]


def write_bundle(path: Path, files: Sequence[Path]) -> Path:
    """Writes ``path``, a source file that includes all of ``files`` in order."""
    path.write_text("".join(f'#include "{file}"\n' for file in files))
    return path


def title(files: Sequence[Path]) -> str:
    """The bundle in a line of progress."""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return files[0].name + more
