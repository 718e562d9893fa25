"""Scores batches of images with many workers, each with its own device."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from arrayloom.host.models.scoring import Batch, Scored, Scores, score_batch, together
from arrayloom.host.pool.task import Progress, Shared, Task, Workers, run_tasks
from arrayloom.host.runtime.report import Snapshot
from arrayloom.host.runtime.session import Session
from arrayloom.isa.program import Program


class _Scorer:
    """A program with the device that runs it; each process creates the device on first use and keeps it."""

    def __init__(self, program: Program, backend: str, with_features: bool) -> None:
        self._program, self._backend, self._with_features = program, backend, with_features

    @cached_property
    def _session(self) -> Session:
        return Session(self._program, backend=self._backend)

    def score(self, batch: Batch, progress: Callable[[float], None]) -> Scored:
        return score_batch(self._session, batch, self._with_features, _counting(progress))


def score_spread(program: Program, batches: Iterable[tuple[str, Batch]], where: Workers, backend: str = "rtl",
                 with_features: bool = False, progress: Progress | None = None) -> tuple[Scores, list[dict[str, Any]]]:
    """The scores of named batches, as from ``score_on_device``, and ``Done.figures`` of each.

    ``batches`` are read lazily, only a few ahead of the workers; the unit of ``progress`` is an image. Raises
    ``PoolError``; other errors as in ``Session``.
    """
    scorer = Shared(_Scorer(program, backend, with_features))
    tasks = (Task(name, _score, (scorer, batch), _images(batch)) for name, batch in batches)
    found: dict[int, tuple[Scored, dict[str, Any]]] = {}
    for done in run_tasks(tasks, where, progress):
        found[done.index] = done.value, done.figures()
    ordered = [found[index] for index in sorted(found)]
    return together(program, [scored for scored, _ in ordered]), [figures for _, figures in ordered]


def _score(scorer: _Scorer, batch: Batch, progress: Callable[[float], None]) -> Scored:
    return scorer.score(batch, progress)


def _images(batch: Batch) -> int:
    """The number of images; at least one, also for arrays that the session will refuse."""
    return max([1, *(values.shape[0] for values in batch.values() if values.ndim)])


def _counting(progress: Callable[[float], None]) -> Callable[[Snapshot], None]:
    """Converts progress of a session, which restarts for each image of a batch."""
    complete, last = 0, 0.0

    def update(snapshot: Snapshot) -> None:
        nonlocal complete, last
        complete += snapshot.share < last
        last = snapshot.share
        progress(complete + last)

    return update
