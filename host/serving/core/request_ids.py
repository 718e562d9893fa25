"""Request identifiers, which connect log lines and answers."""

import re
import uuid
from contextvars import ContextVar

HEADER = "X-Request-Id"
"""The HTTP header; over gRPC the same name in lower case, as metadata."""

CURRENT: ContextVar[str] = ContextVar("request_id", default="")
"""The current request's identifier; empty outside a request."""

_TAKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")


def begin(given: str | None) -> str:
    """Sets the current identifier: the client's, or a new one if the client's is missing or not safe to log."""
    identifier = given if given is not None and _TAKEN.fullmatch(given) else uuid.uuid4().hex
    CURRENT.set(identifier)
    return identifier
