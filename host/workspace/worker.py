"""The process of an operation: ``python -m arrayloom.host.workspace.worker WORKSPACE ID LOCK``.

Started by ``Operation.start``.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NoReturn

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.host.workspace import entries, operation
from arrayloom.host.workspace.operation import FAILED, NOT_STARTED, REQUEST, RUNNING, Operation
from arrayloom.host.workspace.workspace import Workspace
from arrayloom.isa.errors import ArrayloomError

Job = Callable[[Operation, Mapping[str, Any]], None]
"""Does the work and ends the operation in the transaction that publishes its result."""

JOBS = {"convert": "arrayloom.host.workspace.conversion_job", "image": "arrayloom.host.workspace.image_job"}
"""The jobs, each a module with a function ``run``; imported only when needed."""


class OvertakenError(Exception):
    """The operation was cancelled or timed out while its result was ready to be published."""


def main(arguments: list[str]) -> int:
    path, number, lock = arguments
    os.set_inheritable(int(lock), False)
    signal.signal(signal.SIGTERM, _leave)
    running = operation.find(Workspace(path), int(number))
    with running.workspace.database.write() as connection:
        if not entries.move_state(connection, running.entry.id, [NOT_STARTED], RUNNING):
            return 0
        entries.update(connection, running.entry.id, details=running.entry.details | {"pid": os.getpid()})
    return _perform(running)


def _perform(running: Operation) -> int:
    request = json.loads((running.path / REQUEST).read_text())
    try:
        job: Job = import_module(JOBS[running.name]).run
        job(running, request)
    except OvertakenError:
        print("ended from outside; the result was thrown away", flush=True)
    except UnsupportedError as error:
        running.finish(FAILED, str(error), unsupported=[vars(node) for node in error.nodes])
    except ArrayloomError as error:
        running.finish(FAILED, str(error))
    except Exception as error:
        traceback.print_exc()
        running.finish(FAILED, f"an error in Arrayloom itself, {type(error).__name__}: {error}; its log has the trace")
    else:
        return 0
    return 1


def _leave(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
