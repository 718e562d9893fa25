"""Progress bars in the terminal: of a run with layer, cycles and rate, of tasks in steps, and of a pool's tasks."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from arrayloom.host.pool.task import Standing
from arrayloom.host.runtime.report import Progress, Snapshot


@contextmanager
def run_progress(title: str, quiet: bool = False) -> Iterator[Progress | None]:
    """Draws the progress of runs on standard error; None if that is not a terminal, or if ``quiet``."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with show(title) as progress:
        yield progress


@contextmanager
def show(title: str, console: Console | None = None) -> Iterator[Progress]:
    """Draws a bar as long as the context lasts; the bar restarts with each image's run."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[figures]}"),
               TimeRemainingColumn())
    with Bar(*columns, console=console or Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1.0, figures="")
        begin, last = time.perf_counter(), 0.0

        def update(snapshot: Snapshot) -> None:
            nonlocal begin, last
            if snapshot.share < last:
                bar.reset(task)
                begin = time.perf_counter()
            last = snapshot.share
            seconds = time.perf_counter() - begin
            bar.update(task, completed=snapshot.share, description=f"{title} {snapshot.layer}".strip(),
                       figures=_figures(snapshot, seconds))

        yield update


def _figures(snapshot: Snapshot, seconds: float) -> str:
    if snapshot.cycles is None:
        return f"{snapshot.done:,} of {snapshot.count:,} instructions"
    return f"{snapshot.cycles:,} cycles, {snapshot.cycles / max(seconds, 1e-9) / 1e6:.2f} M cycles/s"


@contextmanager
def progress_bar(title: str, quiet: bool, unit: str) -> Iterator[Callable[[int, int], None] | None]:
    """Draws one task on standard error as ``run_progress`` does; called with the work done and the total."""
    with step_progress(quiet, unit) as update:
        yield update and (lambda done, count: update(title, done, count))


@contextmanager
def step_progress(quiet: bool = False, unit: str = "images") -> Iterator[Callable[[str, int, int], None] | None]:
    """The same with a bar for each title; called with a title, the work done and the total (0: unknown)."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} " + unit),
               TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def update(title: str, done: int, count: int) -> None:
            if title not in tasks:
                tasks[title] = bar.add_task(title, total=None)
            bar.update(tasks[title], completed=done, total=count or None)

        yield update


@contextmanager
def tasks_progress(title: str, quiet: bool = False, unit: str = "tasks", size: float | None = None
                   ) -> Iterator[Callable[[Standing], None] | None]:
    """Draws one bar for all tasks of a pool on standard error; None if that is not a terminal, or if
    ``quiet``. ``size``: total size of all tasks, if known in advance; by default that of the tasks known so far.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[figures]}"),
               TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, figures="")

        def update(standing: Standing) -> None:
            known = size or (standing.size if standing.complete else None)
            bar.update(task, completed=standing.done, total=known,
                       figures=f"{standing.tasks_done:,} of {standing.tasks:,}{'' if standing.complete else '+'} {unit}")

        yield update


@contextmanager
def waiting(title: str, quiet: bool = False) -> Iterator[None]:
    """Shows a spinner with the elapsed time on standard error, if that is a terminal and not ``quiet``."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    with Bar(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True),
             transient=True) as bar:
        bar.add_task(title, total=None)
        yield
