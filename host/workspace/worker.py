"""The process of an operation: ``python -m arrayloom.host.workspace.worker WORKSPACE ID LOCK JOB``.

Started by ``Operation.start``; JOB is the module of the job.
"""

import json
import os
import signal
import sys
import traceback
from importlib import import_module
from typing import NoReturn

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.host.workspace import entries
from arrayloom.host.workspace.errors import OvertakenError
from arrayloom.host.workspace.job import NOT_STARTED, REQUEST, RUNNING, Run, Running
from arrayloom.host.workspace.registry import Registry
from arrayloom.isa.errors import ArrayloomError


def main(arguments: list[str]) -> int:
    path, number, lock, module = arguments
    os.set_inheritable(int(lock), False)
    signal.signal(signal.SIGTERM, _leave)
    workspace = Registry(path)
    with workspace.database.write() as connection:
        entry = entries.get(connection, int(number))
        if not entries.move_state(connection, entry.id, [NOT_STARTED], RUNNING):
            return 0
        entries.update(connection, entry.id, details=entry.details | {"pid": os.getpid()})
        entry = entries.get(connection, entry.id)
    return perform(Running(workspace, entry), module)


def perform(running: Running, module: str) -> int:
    """Does the job, and ends the operation with the reason if it fails; returns the process's exit code."""
    request = json.loads((running.path / REQUEST).read_text())
    try:
        run: Run = import_module(module).run
        run(running, request)
    except OvertakenError:
        print("ended from outside; the result was discarded", flush=True)
    except UnsupportedError as error:
        running.fail(str(error), unsupported=[vars(node) for node in error.nodes])
    except ArrayloomError as error:
        running.fail(str(error))
    except Exception as error:
        traceback.print_exc()
        running.fail(f"an error in Arrayloom itself, {type(error).__name__}: {error}; its log has the trace")
    else:
        return 0
    return 1


def _leave(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
