"""Structured logs: one JSON object per line on standard error."""

import json
import logging
import sys
import time
from datetime import UTC, datetime

from arrayloom.host.serving.core.request_ids import CURRENT

log = logging.getLogger("arrayloom.serve")

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Time, level, message and the request, then what the call passed as ``extra``. Written here because a library's
    formatter would need as many lines to keep the established field names."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
                "level": record.levelname.lower(), "message": record.getMessage()}
        if identifier := CURRENT.get():
            line["request_id"] = identifier
        line |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class MalformedRequests(logging.Filter):
    """Filters the HTTP library's messages about malformed requests: at most one line per second, without the request's
    content, which may be a key."""

    def __init__(self) -> None:
        super().__init__()
        self._next, self._left_out = 0.0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        if time.monotonic() < self._next:
            self._left_out += 1
            return False
        kind = record.exc_info[0] if record.exc_info else None
        record.msg, record.args = f"a request that is not HTTP ({kind.__name__ if kind else 'unknown'})", ()
        record.exc_info = record.exc_text = None
        record.event, record.left_out = "malformed_request", self._left_out
        self._next, self._left_out = time.monotonic() + 1, 0
        return True


def set_up(level: str) -> None:
    """Sends the service's log, and its libraries' warnings, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(MalformedRequests())
    log.setLevel(level.upper())
