"""Leftovers of killed processes: how they are recognized, and their removal.

Files are renamed into place inside the write transaction that inserts their row, and rows go before their files. So
whoever holds the write lock knows: a folder in place without a row is a leftover. Folders in the making and operations
hold a lock while their process lives.
"""

from pathlib import Path

from arrayloom.host.workspace import files
from arrayloom.host.workspace.database import Database

_DEPTH = {"models": 2, "images": 2, "services": 2, "operations": 1}


def sweep(folder: Path, database: Database) -> list[Path]:
    """Removes leftovers; returns what they were, relative to the workspace."""
    found = files.abandoned(folder / "staging")
    if _strays(folder, database):
        with database.write():  # seen from outside they may be in the middle of a transaction
            graves = _strays(folder, database)
            for stray in graves:
                files.remove(stray)
        found += graves
    for path in found:
        files.remove(path)
    return [path.relative_to(folder) for path in found]


def _strays(folder: Path, database: Database) -> list[Path]:
    """Folders in place that no row knows."""
    with database.read() as connection:
        known = {Path(row["path"]) for row in connection.execute("SELECT path FROM entries WHERE path IS NOT NULL")}
    strays = []
    for part, depth in _DEPTH.items():
        kept = {Path(*path.parts[:depth + 1]) for path in known if path.parts[0] == part}
        strays += [path for path in _folders(folder / part, depth) if path.relative_to(folder) not in kept]
    with files.gate(folder / "operations"):
        return [path for path in strays if not files.is_held(path / files.LOCK)]


def _folders(folder: Path, depth: int) -> list[Path]:
    children = [path for path in folder.iterdir() if path.is_dir()]
    if depth == 1:
        return children
    return [deeper for child in children for deeper in _folders(child, depth - 1)]
