"""Whether the packages of the extra ``board`` are installed."""

import importlib.util
from collections.abc import Sequence
from importlib import metadata

from arrayloom.host.runtime.board.links import REMEDY
from arrayloom.host.runtime.errors import BoardError

SYSTEM = ("migen", "litex", "litedram")
BOARDS = (*SYSTEM, "liteeth", "litex_boards")


def require_extra(packages: Sequence[str] = BOARDS) -> None:
    """Raises ``BoardError`` that names the missing packages and the remedy."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise BoardError(f"a system on a chip needs LiteX, of which {', '.join(missing)} "
                         f"{'is' if len(missing) == 1 else 'are'} not installed: {REMEDY}")


def versions(packages: Sequence[str] = BOARDS) -> list[str]:
    """Names and versions of the installed packages."""
    return [f"{name} {metadata.version(name)}" for name in packages]
