"""Mutants through the stimuli, over several processes, each until the first that notices it."""

import contextlib
import io
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType

from arrayloom.host.pool.task import Progress, Task, Workers, run_tasks
from arrayloom.sim.rtl.build import Build
from benchmarks.mutation.plant import Mutant
from benchmarks.mutation.stimuli import stimuli

LIMIT_SECONDS = 10.0        # of one stimulus: many times what the longest takes
TEXT = 200                  # characters of what was noticed


@dataclass(frozen=True)
class Noticed:
    """``stimulus``: the first that failed; ``text``: how."""

    stimulus: str
    text: str


class _Hangs(BaseException):
    """Raised into a stimulus, which catches no such thing."""


def hunt(build: Build, mutants: Sequence[Mutant], early: bool, workers: Workers,
         progress: Progress | None = None) -> Iterator[tuple[Mutant, Noticed | None]]:
    """Runs each mutant through the early stimuli, or through the others; as they end."""
    tasks = [Task(one.name, noticed, (replace(build, mutant=one.number), early)) for one in mutants]
    for done in run_tasks(tasks, workers, progress):
        yield mutants[done.index], done.value


def noticed(build: Build, early: bool, _progress: Callable[[float], None] | None = None) -> Noticed | None:
    """The first stimulus that notices something in the build, if any does."""
    for stimulus in stimuli():
        if stimulus.early is early and (text := _failure(stimulus.run, build)) is not None:
            return Noticed(stimulus.name, text)
    return None


def _failure(run: Callable[[Build], None], build: Build) -> str | None:
    """What a test would fail with: any exception, or that it does not end."""
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            run(build)
    except _Hangs:
        return "does not end"
    except Exception as error:     # whatever a test would fail with
        return f"{type(error).__name__}: {error}"[:TEXT]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return None
