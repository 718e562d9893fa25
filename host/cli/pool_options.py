"""The options that spread a command's work over processes and machines, and its report of that."""

import argparse
from collections.abc import Sequence
from typing import Any

from arrayloom.host.pool.local import LocalWorkers
from arrayloom.host.pool.ray_workers import RayWorkers
from arrayloom.host.pool.task import Workers


def add_workers(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, metavar="N", help="spread the work over N processes of this machine")
    where.add_argument("--ray", metavar="HOST:PORT|auto",
                       help="spread the work over a Ray cluster; needs the extra ray")


def workers_of(options: argparse.Namespace) -> Workers | None:
    """Where the options of ``add_workers`` place the work; None for this process. Raises ``PoolError``."""
    if options.ray is not None:
        return RayWorkers(options.ray)
    return None if options.workers is None else LocalWorkers(options.workers)


def lines_of_tasks(tasks: Sequence[dict[str, Any]]) -> list[str]:
    """``Done.figures`` of all tasks as lines of text: over what they were spread, and which were run
    again; empty if there are no tasks."""
    if not tasks:
        return []
    processes = {(task["host"], task["process"]) for task in tasks}
    nodes = {task["node"] or task["host"] for task in tasks}
    lines = [f"spread over  {_count(processes, 'process', 'es')} of {_count(nodes, 'machine')}"]
    return lines + [f"run again    {task['task']}: {task['attempts'] - 1} of its workers ended before it did"
                    for task in tasks if task["attempts"] > 1]


def _count(things: set[Any], name: str, plural: str = "s") -> str:
    return f"{len(things)} {name}{plural * (len(things) != 1)}"
