"""Names and versions: what may be one, and how ``NAME:VERSION`` is read."""

import re

from arrayloom.host.serving.bundle import NAME
from arrayloom.host.workspace.errors import WorkspaceError


def check_name(name: str, what: str) -> str:
    """``name`` itself; raises ``WorkspaceError`` saying what a name of ``what`` may be."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise WorkspaceError(f"{what} name {name!r}: must be 1 to 255 letters, digits, '-', '.' or '_', and begin with a "
                             "letter or a digit")
    return name


def parse_reference(text: str, what: str) -> tuple[str, int | None]:
    """``NAME`` or ``NAME:VERSION``; the version is None where it is left out, which stands for the latest."""
    name, colon, version = text.partition(":")
    if colon and not re.fullmatch("[0-9]{1,18}", version):
        raise WorkspaceError(f"{what} {text!r}: the version after the colon must be a whole number")
    return check_name(name, what), int(version) if colon else None
