"""The identifier of a request, by which its lines in logs and its answer are found again."""

import re
import uuid
from contextvars import ContextVar

HEADER = "X-Request-Id"
"""The header over HTTP; over gRPC the same in lower case, as metadata."""

CURRENT: ContextVar[str] = ContextVar("request_id", default="")
"""That of the request that is being answered; empty outside one."""

_TAKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")


def begin(given: str | None) -> str:
    """Makes the identifier that a client gave the current one, or a new one where it gave none that can stand in a log."""
    identifier = given if given is not None and _TAKEN.fullmatch(given) else uuid.uuid4().hex
    CURRENT.set(identifier)
    return identifier
