"""How a command reports that it refuses a request."""

import errno
import json
import os
import sys

from arrayloom.isa.errors import ArrayloomError

TRACEBACK = "ARRAYLOOM_TRACEBACK"
"""Environment variable; if it is set, an internal error ends with Python's traceback."""


def refusal(error: ArrayloomError, as_json: bool) -> None:
    """Prints the error on standard error, and with ``--json`` as one object on standard output.

    ``unsupported`` lists every node that cannot be compiled; it is empty for other errors.
    """
    if as_json:
        nodes = getattr(error, "nodes", ())  # of UnsupportedError and OperationError, which are slow to import
        print(json.dumps({"error": str(error), "unsupported": [node.to_json() for node in nodes]}, indent=2))
    print(f"arrayloom: {error}", file=sys.stderr)


def own_fault(error: Exception) -> ArrayloomError:
    """Converts an unexpected exception to an error for the user, or raises it unchanged if the environment variable is
    set."""
    if os.environ.get(TRACEBACK):
        raise error
    if isinstance(error, MemoryError):
        return ArrayloomError("this machine has not enough memory for it")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ArrayloomError(f"{error.filename or 'a file'}: cannot be written: the disk is full; free some of it and try "
                              "again")
    first = next(iter(str(error).splitlines()), "")
    return ArrayloomError(f"an error in Arrayloom itself, {type(error).__name__}: {first}; please report it; with "
                          f"{TRACEBACK}=1 in the environment the command shows where it is")
