"""The prediction: all units as processes, run until the program ends."""

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
    """The cycles from the first to the last pixel that the array takes in a layer's range of instructions."""

    name: str
    operator: str
    first: int
    last: int


@dataclass(frozen=True)
class Prediction:
    """Cycles of one run, counted as the hardware's CYCLES register counts them.

    ``busy``: by unit, cycles in which it computes or transfers; those of LOAD and ARRAY are exact. ``words_read`` and
    ``words_written``: on the bus, with what FETCH reads ahead. ``layers``: those for which the array works.
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
        """Multiply-accumulates of the graph over those that the array could have done."""
        return self.macs / (self.multipliers * self.cycles)

    def milliseconds(self, megahertz: float) -> float:
        """The time of one run at that clock."""
        return self.cycles / (1000 * megahertz)


def predict(program: Program, config: Config) -> Prediction:
    """What a run of ``program`` costs on ``config`` with the memory of ``arrayloom.compiler.cost.timing``.

    Instructions, bursts and tiles are timed one by one, words and pixels inside them are not; collisions in the banks of
    the scratchpad are left out.

    Raises ``ProgramError`` when the program is for another configuration, ``CompileError`` when it would never end.
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
