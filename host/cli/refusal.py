"""How a command says that it does not do what it was asked for."""

import errno
import json
import os
import sys

from arrayloom.isa.errors import ArrayloomError

TRACEBACK = "ARRAYLOOM_TRACEBACK"
"""Environment variable: where it is set, an error in Arrayloom itself ends in Python's traceback."""


def refusal(error: ArrayloomError, as_json: bool) -> None:
    """The error on standard error, and with ``--json`` as one object on standard output.

    ``unsupported`` lists every node that cannot be compiled; it is empty for errors that are about no node.
    """
    if as_json:
        nodes = getattr(error, "nodes", ())  # of UnsupportedError and OperationError, whose modules are slow to load
        print(json.dumps({"error": str(error), "unsupported": [node.to_json() for node in nodes]}, indent=2))
    print(f"arrayloom: {error}", file=sys.stderr)


def own_fault(error: Exception) -> ArrayloomError:
    """An exception that nobody foresaw, as an error for the user; it goes on as it is where the environment asks for it."""
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
