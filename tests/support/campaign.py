"""Campaigns: a check of many seeds, distributed over processes and machines, and a report of the failures.

The report does not depend on the workers: failures are grouped by kind, in the order of their seeds.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from arrayloom.host.cli.bar import tasks_progress
from arrayloom.host.cli.pool_options import add_workers, lines_of_tasks, workers_of
from arrayloom.host.pool.local import ThisProcess
from arrayloom.host.pool.task import Task, run_tasks
from arrayloom.isa.errors import ArrayloomError

BLOCK = 20          # seeds per task
SHOWN = 3           # seeds listed per kind
TEXT = 600          # last characters shown of a failure
FAILED, REFUSED = 1, 2


class Failure(Protocol):
    """Why a seed failed: ``kind`` is the same for similar failures, ``text`` has all details."""

    @property
    def kind(self) -> str: ...

    @property
    def text(self) -> str: ...


class Found(NamedTuple):
    """A seed that failed, and why."""

    seed: int
    kind: str
    text: str


Check = Callable[..., Failure | None]
"""Called as `check(seed, *settings)`; a function of a module that workers can import."""


def parser(program: str, description: str, count: int) -> argparse.ArgumentParser:
    """The options common to all campaigns; ``count``: the default of ``--count``."""
    made = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    made.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed")
    made.add_argument("--count", type=int, default=count, metavar="N", help="how many seeds (default %(default)s)")
    made.add_argument("--json", action="store_true", help="one JSON object on standard output")
    add_workers(made)
    return made


def run(options: argparse.Namespace, check: Check, settings: Sequence[Any] = ()) -> int:
    """Checks the chosen seeds and prints the report; returns 0, 1 if a seed failed, or 2 if the campaign cannot run."""
    try:
        found, tasks = _all(options, check, settings)
    except ArrayloomError as error:
        print(f"{error}", file=sys.stderr)
        return REFUSED
    kinds: dict[str, list[Found]] = defaultdict(list)
    for one in sorted(found):
        kinds[one.kind].append(one)
    listed = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
    if options.json:
        failures = [{"kind": kind, "seeds": [one.seed for one in members], "text": members[0].text}
                    for kind, members in listed]
        print(json.dumps({"first": options.first, "count": options.count, "failed": len(found), "failures": failures,
                          "tasks": tasks}, indent=2))
    else:
        print("\n".join(_lines(options.count, listed)))
        print("\n".join(lines_of_tasks(tasks)), file=sys.stderr)
    return FAILED if found else 0


def _all(options: argparse.Namespace, check: Check, settings: Sequence[Any]) -> tuple[list[Found], list[dict[str, Any]]]:
    found: list[Found] = []
    tasks: dict[int, dict[str, Any]] = {}
    known: set[str] = set()
    where = workers_of(options) or ThisProcess()
    with tasks_progress("checking", options.json, f"blocks of {BLOCK}", options.count) as progress:
        for done in run_tasks(_tasks(options, check, settings), where, progress):
            tasks[done.index] = done.figures()
            found += done.value
            for one in done.value:
                if one.kind not in known:
                    known.add(one.kind)
                    print(f"seed {one.seed}: {one.kind}", file=sys.stderr, flush=True)
    return found, [tasks[index] for index in sorted(tasks)]


def _tasks(options: argparse.Namespace, check: Check, settings: Sequence[Any]) -> Iterator[Task]:
    end = options.first + options.count
    for first in range(options.first, end, BLOCK):
        seeds = range(first, min(first + BLOCK, end))
        yield Task(f"seeds {seeds[0]} to {seeds[-1]}", _block, (check, seeds, tuple(settings)), len(seeds))


def _block(check: Check, seeds: range, settings: Sequence[Any], progress: Callable[[float], None]) -> list[Found]:
    found = []
    for number, seed in enumerate(seeds, 1):
        if failure := check(seed, *settings):
            found.append(Found(seed, failure.kind, failure.text.strip()[-TEXT:]))
        progress(number)
    return found


def _lines(count: int, listed: Sequence[tuple[str, Sequence[Found]]]) -> Iterator[str]:
    for kind, members in listed:
        yield f"{len(members)} x {kind}"
        yield f"    seeds {[one.seed for one in members[:SHOWN]]}; the first: {members[0].text}"
    yield f"{count - sum(len(members) for _, members in listed)} of {count} passed"
