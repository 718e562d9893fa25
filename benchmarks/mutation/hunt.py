"""Runs mutants through the stimuli in several processes, each until the first stimulus that detects it."""

import contextlib
import io
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType

from arrayloom.host.pool.task import Progress, Task, Workers, run_tasks
from arrayloom.isa.errors import ArrayloomError
from arrayloom.sim.rtl.build import Build
from benchmarks.mutation.acting import acting
from benchmarks.mutation.plant import Mutant
from benchmarks.mutation.stimuli import stimuli

LIMIT_SECONDS = 10.0        # CPU seconds for one stimulus: many times the longest
TEXT = 200                  # most characters of a failure's text


@dataclass(frozen=True)
class Noticed:
    """``stimulus``: the first that failed; ``text``: its failure."""

    stimulus: str
    text: str


class _Hangs(BaseException):
    """Raised in a stimulus that takes too long; not an ``Exception``, so that tests do not catch it."""


class StimulusError(ArrayloomError):
    """A stimulus fails although no fault is selected."""


@dataclass(frozen=True)
class Tried:
    """``found``: what noticed the mutant; ``names``: the stimulus that did, or all through which it ran if none did."""

    mutant: Mutant
    names: Sequence[str]
    found: Noticed | None


def hunt(build: Build, mutants: Sequence[Mutant], early: bool, workers: Workers, progress: Progress | None = None,
         passed: Callable[[int], Collection[str]] = lambda _mutant: ()) -> Iterator[Tried]:
    """Runs each mutant through the early (or the other) stimuli in which it has an effect; yields results as they come.

    ``passed`` names stimuli that are known not to notice the mutant of a number. Raises ``StimulusError`` if a stimulus
    fails without any fault.
    """
    if not mutants:
        return
    names = [one.name for one in stimuli() if one.early is early]
    acts = dict(zip(names, _acting(build, names, workers), strict=True))
    tries = {one.number: [name for name in names if one.number in acts[name] and name not in passed(one.number)]
             for one in mutants}
    yield from (Tried(one, (), None) for one in mutants if not tries[one.number])
    left = [one for one in mutants if tries[one.number]]
    tasks = [Task(one.name, noticed, (replace(build, mutant=one.number), tries[one.number])) for one in left]
    for done in run_tasks(tasks, workers, progress):
        found, mutant = done.value, left[done.index]
        yield Tried(mutant, [found.stimulus] if found else tries[mutant.number], found)


def noticed(build: Build, names: Sequence[str], _progress: Callable[[float], None] | None = None) -> Noticed | None:
    """The first of these stimuli that fails on the build, if any."""
    for stimulus in stimuli():
        if stimulus.name in names and (text := _failure(stimulus.run, build)) is not None:
            return Noticed(stimulus.name, text)
    return None


def _acting(build: Build, names: Sequence[str], workers: Workers) -> list[set[int]]:
    """For each stimulus, the faults with an effect in it."""
    found: list[set[int]] = [set() for _ in names]
    for done in run_tasks([Task(name, _acts, (build, name)) for name in names], workers):
        if isinstance(done.value, str):
            raise StimulusError(f"without any fault, the stimulus {names[done.index]!r} fails: {done.value}; correct the "
                                "test, "
                                "or what it tests, first")
        found[done.index] = done.value
    return found


def _acts(build: Build, name: str, _progress: Callable[[float], None] | None = None) -> set[int] | str:
    """The faults with an effect in a stimulus, or its failure."""
    (stimulus,) = (one for one in stimuli() if one.name == name)
    found: set[int] = set()
    text = _failure(lambda build: found.update(acting(build, stimulus.run)), build)
    return found if text is None else text


def _failure(run: Callable[[Build], None], build: Build) -> str | None:
    """The failure of a test: any exception, or a timeout."""
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Hangs

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_SECONDS)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            run(build)
    except _Hangs:
        return "does not end"
    except Exception as error:     # any exception counts as a failed test
        return f"{type(error).__name__}: {error}"[:TEXT]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return None
