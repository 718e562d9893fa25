"""The report of a failed run: the state of every unit, queue and store at its end."""

from collections.abc import Iterator

from arrayloom.host.runtime.driver import Driver
from arrayloom.host.runtime.report import ProgressModel
from arrayloom.isa.config import ACCUMULATOR_BANKS, Config
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.fields import Unit, units_in
from arrayloom.isa.registers import ERROR_TEXT, TOKEN_BITS, Block, Cause, Register, StateWord, StatusWord
from arrayloom.isa.tokens import NO_GIVER, token_givers

MEANING = {
    Cause.IDLE: "idle",
    Cause.COMPUTING: "computing",
    Cause.TOKEN: "waiting for a token",
    Cause.WEIGHTS: "waiting for weights, parameters or a table",
    Cause.ACTIVATIONS: "waiting for the scratchpad",
    Cause.MEMORY: "waiting for memory",
    Cause.DRAINING: "waiting for an accumulator bank to be drained",
    Cause.SPACE: "waiting for room",
    Cause.SUMS: "waiting for a full accumulator bank",
    Cause.OVERHEAD: "between steps of an instruction",
}


def describe(driver: Driver, status: StatusWord) -> str:
    """The report of a failed run, several lines; reads only registers. For a damaged program, names the instruction."""
    try:
        report = _Report(driver)
    except EncodingError as error:
        return f"the run failed: {ERROR_TEXT.get(status.error, status.error.name)}; {error}"
    return "\n".join(report.lines(status))


class _Report:
    def __init__(self, driver: Driver) -> None:
        self.driver, self.read, self.program = driver, driver.read, driver.program
        self.model, self.instructions = ProgressModel(driver.program), list(driver.program)
        self.givers = token_givers(self.instructions)
        self.retired = driver.retired()

    def lines(self, status: StatusWord) -> Iterator[str]:
        block = Block(self.read(Register.ERROR_UNIT))
        cycles = self.driver.read_64(Register.CYCLES)
        yield f"the run failed in {block.name} at cycle {cycles:,}: {ERROR_TEXT.get(status.error, status.error.name)}"
        if address := self.driver.read_64(Register.ERROR_ADDRESS):
            yield f"  at byte {address - self.driver.base:#x} from the program's memory base"
        yield self._fetch()
        for unit in self.program.configuration.units:
            yield from self._unit(unit)
        yield from _stores(self.driver, self.program.configuration)

    def _fetch(self) -> str:
        fetched, state = self.read(Register.FETCHED), StateWord.decode(self.read(Register.FETCH_STATE))
        return (f"  FETCH: {MEANING[state.cause]}; {fetched} of {len(self.program)} instructions dispatched"
                + (f"; next {self._instruction(fetched)}" if fetched < len(self.program) else ""))

    def _unit(self, unit: Unit) -> Iterator[str]:
        state = StateWord.decode(self.read(Register.STATE + 4 * unit))
        own, done = self.model.instructions[unit], self.retired[unit]
        yield (f"  {unit.name}: {MEANING[state.cause]}; {done} of {len(own)} instructions complete, {state.in_flight} in "
               f"flight, {state.waiting} waiting; tokens held: {self._tokens(unit)}")
        if done < len(own):
            yield f"    at {self._instruction(own[done])}"
        head = done + state.in_flight
        if state.missing and head < len(own):
            if state.in_flight:
                yield f"    next {self._instruction(own[head])}"
            for giver in units_in(state.missing):
                yield f"    lacks {self._missing(unit, giver, own[head])}"

    def _tokens(self, unit: Unit) -> str:
        word, mask = self.driver.read_64(Register.TOKENS + 8 * unit), (1 << TOKEN_BITS) - 1
        held = {other.name: word >> TOKEN_BITS * other & mask for other in self.program.configuration.units}
        return ", ".join(f"{count} of {name}" for name, count in held.items() if count) or "none"

    def _missing(self, unit: Unit, giver: Unit, waiting: int) -> str:
        """The token of ``giver`` that the instruction ``waiting`` lacks, and the instruction that would give it."""
        if giver is unit:
            return f"the end of {unit.name}'s own earlier instructions"
        index = int(self.givers[giver][waiting])
        if index == NO_GIVER:
            return f"a token of {giver.name}, and no later instruction of {giver.name} gives one"
        return f"a token of {giver.name}, which the end of {self._instruction(index)} gives"

    def _instruction(self, index: int) -> str:
        layer = self.model.layers[index]
        return f"instruction {index}{f' of layer {layer!r}' if layer else ''}: {self.instructions[index]}"


def _stores(driver: Driver, config: Config) -> Iterator[str]:
    read = driver.read
    banks, bursts = read(Register.ACCUMULATOR_BANKS), read(Register.BURSTS)
    yield (f"  weight FIFO: {read(Register.WEIGHTS_HELD)} of {config.weight_words} words; parameter FIFO: "
           f"{read(Register.PARAMETERS_HELD)} of {config.parameter_entries} entries; tables: "
           f"{read(Register.LOOKUP_TABLES_HELD)} of {config.table_pages} pages")
    yield f"  accumulator banks: {banks & 0xFF} of {ACCUMULATOR_BANKS} in use, {banks >> 8 & 0xFF} full"
    yield f"  bus: {bursts & 0xFF} bursts of reads and {bursts >> 8 & 0xFF} of writes under way"
