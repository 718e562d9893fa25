"""Compares accelerators for one network: cycles and resources of each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from arrayloom.compiler import compile_graph
from arrayloom.compiler.cost import Prediction, predict
from arrayloom.compiler.errors import CompileError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, ImportOptions
from arrayloom.compiler.graph import Graph
from arrayloom.host.pool.task import Progress, Task, Workers, run_tasks
from arrayloom.host.runtime.session import Session
from arrayloom.isa.config import ACCUMULATOR_BANKS, PARAMETER_BYTES, SUM_BYTES, Config
from arrayloom.isa.errors import ConfigError
from arrayloom.isa.instructions import LOOKUP_TABLE_WORDS
from arrayloom.isa.program import Program


@dataclass(frozen=True)
class Candidate:
    """One accelerator for a network; ``rtl_cycles``: measured cycles, if requested; ``notes`` and ``notices``: those
    of its program."""

    config: Config
    prediction: Prediction
    rtl_cycles: int | None = None
    notes: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def deviation(self) -> float | None:
        """Relative error of the prediction; positive if it is too high."""
        return self.prediction.cycles / self.rtl_cycles - 1 if self.rtl_cycles else None

    def figures(self, megahertz: float) -> dict[str, Any]:
        """All figures under their names in ``--json``."""
        predicted, memory = self.prediction, on_chip_bytes(self.config)
        figures = {
            "config": self.config.name, "cycles": predicted.cycles, "utilization": predicted.utilization,
            "milliseconds": predicted.milliseconds(megahertz), "multipliers": self.config.multipliers,
            "on_chip_bytes": sum(memory.values()), "memories": memory, "busy": predicted.busy,
            "words_read": predicted.words_read, "words_written": predicted.words_written,
            "layers": [vars(layer) for layer in predicted.layers],
        }
        measured = {"rtl_cycles": self.rtl_cycles, "deviation": self.deviation}
        return figures | (measured if self.rtl_cycles is not None else {})


def on_chip_bytes(config: Config) -> dict[str, int]:
    """Bytes of each memory whose size the configuration determines, without instruction queues and bus buffers."""
    return {
        "activations": config.activation_bytes,
        "weights": config.weight_words * config.size,
        "accumulators": ACCUMULATOR_BANKS * config.accumulator_depth * config.size * SUM_BYTES,
        "parameters": config.parameter_entries * config.lanes * PARAMETER_BYTES,
        "tables": config.table_pages * LOOKUP_TABLE_WORDS * config.size,
    }


def compile_for(model: Path, configs: Sequence[Config], options: ImportOptions = DEFAULT_OPTIONS) -> Iterator[Program]:
    """The model's program for each configuration; the model is imported once, with ``options``.

    Raises ``CompileError`` for a model that no configuration can run, ``ConfigError`` naming the first configuration that
    cannot run it.
    """
    graphs: dict[ImportOptions, Graph] = {}     # an accelerator with more units may take more of the model
    for config in configs:
        own = options.of(config)
        if own not in graphs:
            graphs[own] = import_model(model, own).graph
        try:
            yield compile_graph(graphs[own], config)
        except CompileError as error:
            raise ConfigError(f"configuration {config.name}: {error}") from None


def weigh(program: Program) -> Candidate:
    """The candidate of this program."""
    config = program.configuration
    return Candidate(config, predict(program, config), None, tuple(program.notes), tuple(program.notices))


def measure(programs: Iterable[Program], inputs_of: Callable[[Program], Mapping[str, Any]], where: Workers,
            progress: Progress | None = None) -> tuple[list[Candidate], list[dict[str, Any]]]:
    """The candidates of these programs with their cycles on the RTL, and ``Done.figures`` of each run.

    ``inputs_of`` returns a program's inputs, one image. Later programs are compiled while workers simulate; the unit of
    ``progress`` is a predicted cycle. Raises ``PoolError``; other errors as in ``Session``.
    """
    candidates: list[Candidate] = []

    def tasks() -> Iterator[Task]:
        for program in programs:
            candidates.append(weigh(program))
            yield Task(program.configuration.name, _rtl_cycles, (program, inputs_of(program)),
                       candidates[-1].prediction.cycles)

    found = {done.index: (done.value, done.figures()) for done in run_tasks(tasks(), where, progress)}
    return ([replace(candidate, rtl_cycles=found[index][0]) for index, candidate in enumerate(candidates)],
            [found[index][1] for index in sorted(found)])


def _rtl_cycles(program: Program, inputs: Mapping[str, Any], progress: Callable[[float], None]) -> int | None:
    with Session(program, backend="rtl") as session:
        session.run(inputs, lambda snapshot: progress(snapshot.cycles or 0))
        return session.report.cycles
