"""The same network on several accelerators: what each would take, and what it is made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.compiler import compile_graph
from arrayloom.compiler.cost import Prediction, predict
from arrayloom.compiler.errors import CompileError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, ImportOptions
from arrayloom.host.runtime.session import Session
from arrayloom.isa.config import ACCUMULATOR_BANKS, PARAMETER_BYTES, SUM_BYTES, Config
from arrayloom.isa.errors import ConfigError
from arrayloom.isa.instructions import LOOKUP_TABLE_WORDS
from arrayloom.isa.program import Program


@dataclass(frozen=True)
class Candidate:
    """One accelerator for a network; ``rtl_cycles``: measured, where that was asked for; ``notes`` and ``notices``
    of its program."""

    config: Config
    prediction: Prediction
    rtl_cycles: int | None = None
    notes: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def deviation(self) -> float | None:
        """By what part of the measured cycles the prediction is too high."""
        return self.prediction.cycles / self.rtl_cycles - 1 if self.rtl_cycles else None

    def figures(self, megahertz: float) -> dict[str, Any]:
        """All figures under the names that ``--json`` gives them."""
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
    """Bytes of each memory that the configuration sizes; queues of instructions and buffers of the bus are left out."""
    return {
        "activations": config.activation_bytes,
        "weights": config.weight_words * config.size,
        "accumulators": ACCUMULATOR_BANKS * config.accumulator_depth * config.size * SUM_BYTES,
        "parameters": config.parameter_entries * config.lanes * PARAMETER_BYTES,
        "tables": config.table_pages * LOOKUP_TABLE_WORDS * config.size,
    }


def compile_for(model: Path, configs: Sequence[Config], options: ImportOptions = DEFAULT_OPTIONS) -> Iterator[Program]:
    """The model's program for each configuration in turn; it is imported once, as ``options`` permit.

    Raises ``CompileError`` for a model that none can run, ``ConfigError`` naming the first configuration that cannot.
    """
    graph = import_model(model, options).graph
    for config in configs:
        try:
            yield compile_graph(graph, config)
        except CompileError as error:
            raise ConfigError(f"configuration {config.name}: {error}") from None


def weigh(program: Program, inputs: Mapping[str, Any] | None = None) -> Candidate:
    """The candidate whose program this is; with ``inputs`` (one image) it is run on the RTL too."""
    config = program.configuration
    prediction = predict(program, config)
    notes, notices = tuple(program.notes), tuple(program.notices)
    if inputs is None:
        return Candidate(config, prediction, None, notes, notices)
    with Session(program, config, backend="rtl") as session:
        session.run(inputs)
        return Candidate(config, prediction, session.report.cycles, notes, notices)
