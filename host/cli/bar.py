"""The progress of a run, drawn in the terminal: layer, cycles, rate, time left."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from arrayloom.host.runtime.report import Progress, Snapshot


@contextmanager
def run_progress(title: str, quiet: bool = False) -> Iterator[Progress | None]:
    """Draws the progress of runs on standard error if that is a terminal; gives None otherwise, and when ``quiet``."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with show(title) as progress:
        yield progress


@contextmanager
def show(title: str, console: Console | None = None) -> Iterator[Progress]:
    """Draws a bar as long as the context lasts; when the next image's run begins, the bar begins again."""
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
