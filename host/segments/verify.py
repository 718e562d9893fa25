"""Verification of a network over workers: whole images if there are many, segments if there are few."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import onnx
from numpy.typing import NDArray

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, ImportOptions
from arrayloom.host.pool.task import Done, Progress, Shared, Standing, Task, Workers, run_tasks
from arrayloom.host.runtime.examine import Examiner, Image
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.report import total
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.runtime.verify import images_of
from arrayloom.host.segments.assemble import assemble
from arrayloom.host.segments.background import Emulation, References
from arrayloom.host.segments.forecast import Forecast, forecast
from arrayloom.host.segments.merge import Seam
from arrayloom.host.segments.run import Run, prepare, run_segment, simulator
from arrayloom.host.segments.segment import Segment
from arrayloom.host.segments.speed import Speed, keep, kept, measure
from arrayloom.host.segments.spread import Spread, segmented, spread
from arrayloom.host.segments.whole import Whole, verify_image
from arrayloom.isa.config import DEFAULT, Config, load_config

Inputs = Sequence[Mapping[str, NDArray[Any]]]
Load = Callable[[], tuple[ImportedModel, Inputs]]

class Job(NamedTuple):
    """The purpose of a task: an image, and the segment of its run; None for the whole run."""

    image: int
    segment: int | None = None


@dataclass(frozen=True)
class SpreadVerdict:
    """The result of a verification over workers.

    Attributes
    ----------
    verdict
        Over all images, as without workers.
    exact
        Whether cycles, counters and words of its report are exact; otherwise they are an estimate.
    tasks
        For each task, in order, ``Done.figures``, the image, and for a segment its instructions and cycles.
    """

    verdict: Verdict
    exact: bool
    tasks: list[dict[str, Any]]


def verify_files_over(where: Workers, model: str | Path | onnx.ModelProto, files: Sequence[Path], recipe: str | None = None,
                      config: str | Config = DEFAULT, progress: Progress | None = None,
                      options: ImportOptions = DEFAULT_OPTIONS) -> SpreadVerdict:
    """``arrayloom.host.runtime.verify.verify_files`` on the RTL, over workers.

    Raises the same errors, and ``PoolError`` if workers cannot be started or are lost repeatedly.
    """
    chosen = load_config(config)

    def load() -> tuple[ImportedModel, Inputs]:
        imported = import_model(model, options.of(chosen))
        return imported, [load_inputs(file, imported.graph.model_inputs, recipe) for file in files]

    return Verification(where, load, chosen, progress).run()


def forecast_files_over(where: Workers, model: str | Path | onnx.ModelProto, files: Sequence[Path],
                        recipe: str | None = None, config: str | Config = DEFAULT,
                        options: ImportOptions = DEFAULT_OPTIONS) -> Forecast:
    """The forecast of ``verify_files_over`` with the same arguments.

    The simulation speed is taken from an earlier measurement with the same simulator, or measured now, on this machine.
    Raises the errors of ``verify_files_over``.
    """
    chosen = load_config(config)
    imported = import_model(model, options.of(chosen))
    images = sum(len(images_of(load_inputs(file, imported.graph.model_inputs, recipe), imported.graph.model_inputs))
                 for file in files)
    plan = spread(compile_graph(imported.graph, chosen), images, where.count)
    library = simulator(chosen).library
    speed = kept(library)
    if speed is None:
        keep(speed := measure(plan.planner), library)
    return forecast(plan, where.count, speed)


class Verification:
    """One verification. ``load`` returns the model and batches of its inputs; ``cuts``: instructions at which to cut instead
    of the plan's.

    Workers start and load the simulator while the model is imported and compiled here. The emulator runs ahead of them in
    a thread of this process.
    """

    def __init__(self, where: Workers, load: Load, config: Config, progress: Progress | None = None,
                 cuts: tuple[int, ...] | None = None) -> None:
        self._where, self._load, self._config, self._progress, self._cuts = where, load, config, progress, cuts
        self._jobs: list[Job | None] = []       # of each task; None if it only loads the simulator
        self._work: _Work | None = None
        self._stop = ExitStack()

    def run(self) -> SpreadVerdict:
        """Raises the errors of ``verify_files_over``."""
        with self._stop:
            done = {one.index: one for one in run_tasks(self._tasks(), self._where, self._progress and self._tell)}
            assert self._work is not None
            seconds = time.perf_counter() - self._work.begin
            return self._work.result({job: done[index] for index, job in enumerate(self._jobs) if job}, seconds)

    def _tasks(self) -> Iterator[Task]:
        """Generates tasks while the workers run."""
        count = self._where.count
        for number in range(count):
            self._jobs.append(None)
            yield Task(f"simulator {number}", prepare, (self._config,), 0.0)
        imported, batches = self._load()
        images = [image for batch in batches for image in images_of(batch, imported.graph.model_inputs)]
        whole = len(images) - segmented(len(images), count)
        references = self._stop.enter_context(closing(References(imported, images[whole:])))
        program = compile_graph(imported.graph, self._config)
        examiner = Examiner(program)
        placed = [examiner.place(inputs) for inputs in images[whole:]]
        plan = spread(program, len(images), count, self._cuts)
        emulation = self._stop.enter_context(closing(Emulation(examiner, placed, references, plan.bounds)))
        self._work = _Work(examiner, placed, plan, emulation, time.perf_counter())
        for job, task in self._work.tasks(Whole(imported, program), images[:whole]):
            self._jobs.append(job)
            yield task

    def _tell(self, standing: Standing) -> None:
        """Progress without the tasks that only load the simulator; the number of the others is known in advance."""
        assert self._progress is not None
        done = max(0, standing.tasks_done - sum(job is None for job in self._jobs))
        if self._work is None:
            self._progress(replace(standing, tasks=0, tasks_done=0))
        else:
            plan = self._work.plan
            self._progress(Standing(standing.done, max(standing.size, plan.size), done, plan.tasks, True))


@dataclass(frozen=True)
class _Work:
    """The tasks after the compilation; ``images``: those that are run in segments."""

    examiner: Examiner
    images: list[Image]
    plan: Spread
    emulation: Emulation
    begin: float

    def tasks(self, whole: Whole, images: Inputs) -> Iterator[tuple[Job, Task]]:
        """``images``: those that are run as a whole."""
        shared = Shared(whole)
        for number, inputs in enumerate(images):
            yield Job(number), Task(f"image {number}", verify_image, (shared, inputs), self.plan.cycles)
        shared = Shared(replace(whole.program, layers=[], probes={}, layouts={}))     # not needed for a segment
        for number in range(len(self.images)):
            for segment, size in zip(self.plan.segments, self.plan.sizes, strict=True):
                job = Job(self.plan.whole + number, segment.number)
                start = self.emulation.state(number, segment.first)
                yield job, Task(f"image {job.image}, segment {job.segment}", run_segment, (shared, segment, start), size)

    def result(self, done: dict[Job, Done], seconds: float) -> SpreadVerdict:
        verdicts: list[Verdict] = [done[Job(number)].value for number in range(self.plan.whole)]
        seams: dict[Job, Seam] = {}
        for number, image in enumerate(self.images):
            jobs = [Job(self.plan.whole + number, segment.number) for segment in self.plan.segments]
            runs: list[Run] = [done[job].value for job in jobs]
            verdict, merged = assemble(self.examiner, image, self.emulation, number, self.plan.segments, runs)
            verdicts.append(verdict)
            seams |= dict(zip(jobs, merged.seams, strict=False))
        verdict = verdicts[0]
        for other in verdicts[1:]:
            verdict = verdict.merge(other, total([verdict.report, other.report]))
        verdict.report = replace(verdict.report, wall_seconds=seconds + verdict.report.host_seconds)
        if self.images:
            self._keep_speed(done, verdicts[-1].report.cycles or 0)
        figures = [_figures(job, one, self.plan.segments, seams.get(job)) for job, one in done.items()]
        return SpreadVerdict(verdict, all(seam.exact for seam in seams.values()), figures)


    def _keep_speed(self, done: dict[Job, Done], cycles: int) -> None:
        """The speed of segments on this machine, for later forecasts; ``cycles``: of one image."""
        here = [one for job, one in done.items() if job.segment is not None and one.machine.host == socket.gethostname()]
        if here and (seconds := self.emulation.examined(0).seconds):
            simulated = sum(one.value.cycles for one in here) / sum(one.seconds for one in here)
            measured = f"{len(here)} segment{'s' * (len(here) > 1)} of an earlier verification"
            keep(Speed(simulated, cycles / seconds, measured), here[0].value.library)


def _figures(job: Job, done: Done, segments: Sequence[Segment], seam: Seam | None) -> dict[str, Any]:
    """A task's figures under their names in ``--json``."""
    found = done.figures() | {"image": job.image}
    if job.segment is None:
        return found | {"cycles": done.value.report.cycles}
    segment, run = segments[job.segment], done.value
    return found | segment.figures() | {"cycles": run.cycles, "simulation_seconds": run.seconds,
                                        "joins_at": seam.instruction if seam and seam.exact else None}
