"""Predicts a run: all units are processes, which run until the program ends."""

from dataclasses import dataclass

from arrayloom.compiler.cost.array import Array
from arrayloom.compiler.cost.attention import attention
from arrayloom.compiler.cost.depthwise import depthwise
from arrayloom.compiler.cost.fetch import Fetch
from arrayloom.compiler.cost.machine import Machine
from arrayloom.compiler.cost.post import Post
from arrayloom.compiler.cost.transfers import Load, store
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Unit
from arrayloom.isa.program import Program


@dataclass(frozen=True)
class LayerCycles:
    """The cycles of the first and the last pixel that the array processes for a layer."""

    name: str
    operator: str
    first: int
    last: int


@dataclass(frozen=True)
class Prediction:
    """The predicted cost of one run.

    Attributes
    ----------
    cycles
        Cycles of the run, as the CYCLES register of the hardware counts them.
    macs
        Multiply-accumulates of the network.
    multipliers
        Multipliers of the array.
    busy
        For each unit, the cycles in which it computes or transfers; those of LOAD and ARRAY are exact.
    words_read, words_written
        Words on the bus, including what FETCH prefetches.
    layers
        The layers that use the array.
    """

    cycles: int
    macs: int
    multipliers: int
    busy: dict[str, int]
    words_read: int
    words_written: int
    layers: tuple[LayerCycles, ...]

    @property
    def utilization(self) -> float:
        """The ratio of the network's multiply-accumulates to those that the array could have done."""
        return self.macs / (self.multipliers * self.cycles)

    def milliseconds(self, megahertz: float) -> float:
        """Returns the time of one run at a clock of ``megahertz``."""
        return self.cycles / (1000 * megahertz)


def predict(program: Program, config: Config) -> Prediction:
    """Predicts the cost of a run of ``program`` on ``config`` with the memory of ``arrayloom.compiler.cost.timing``.

    The model times each instruction, burst and tile, but not the single words and pixels in them. It ignores collisions in
    the banks of the scratchpad.

    Raises ``ProgramError`` if the program is for another configuration, ``CompileError`` if it would never end.
    """
    program.require(config)
    machine = Machine(config)
    fetch, array, post = Fetch(machine, program), Array(machine), Post(machine)
    processes = [queue.issue() for queue in machine.queues.values()]
    processes += [fetch.read(), Load(machine).run(), array.run(), post.run(), store(machine)]
    if Unit.DEPTHWISE in machine.queues:
        processes.append(depthwise(machine))
    if Unit.ATTENTION in machine.queues:
        processes.append(attention(machine))
    for process in processes:
        machine.kernel.start(process)
    cycles = machine.kernel.run(until=fetch.dispatch())
    busy = {unit.name: queue.busy for unit, queue in machine.queues.items()}
    return Prediction(cycles, program.macs, config.multipliers, busy, machine.bus.words, busy[Unit.STORE.name],
                      _layers(program, array.spans))


def _layers(program: Program, spans: dict[int, tuple[int, int]]) -> tuple[LayerCycles, ...]:
    result = []
    for layer in program.layers:
        inside = [spans[index] for index in layer.instructions if index in spans]
        if inside:
            result.append(LayerCycles(layer.name, layer.operator, inside[0][0], inside[-1][1]))
    return tuple(result)
