"""The control and status registers, shared by the AXI4-Lite slave and the host; 32 bits each, little-endian."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from arrayloom.isa.fields import UNIT_SLOTS, Unit, Units

IDENTITY_VALUE = 0x4D4F4F4C     # "LOOM" in memory order
VERSION_VALUE = 2
REGISTER_ADDRESS_BITS = 12      # bits in the byte address of a register
REGISTER_BYTES = 4
REGISTER_BITS = 8 * REGISTER_BYTES
BLOCK_SLOTS = 8     # slots for registers of blocks; those after the units' are reserved


class Block(IntEnum):
    """The blocks with separate registers: the units that execute instructions, and FETCH, which has the last slot."""

    LOAD = Unit.LOAD
    ARRAY = Unit.ARRAY
    POST = Unit.POST
    STORE = Unit.STORE
    DEPTHWISE = Unit.DEPTHWISE
    ATTENTION = Unit.ATTENTION
    FETCH = BLOCK_SLOTS - 1


def blocks_of(units: Iterable[Unit]) -> tuple[Block, ...]:
    """The blocks of an accelerator with these units."""
    return (*map(Block, units), Block.FETCH)


class Register(IntEnum):
    """Byte addresses. Reading the lower half of a 64-bit counter latches the upper half for the next read."""

    IDENTITY = 0x00         # read: IDENTITY_VALUE
    VERSION = 0x04          # read: VERSION_VALUE
    CONFIG = 0x08           # read: first eight digits of the configuration's digest
    CONTROL = 0x0C          # write: Control bits
    STATUS = 0x10           # read: Status bits, error in bits 8 to 15
    INTERRUPT_ENABLE = 0x14  # read, write: bit 0 raises irq when a run ends, with or without an error
    INTERRUPT = 0x18        # read, write: bit 0 pending; writing 1 clears it
    WATCHDOG = 0x1C         # read, write: cycles without progress of any unit after which a run fails; 0: never
    PROGRAM = 0x20          # read, write: byte address of the first instruction; 64 bits with the next register
    PROGRAM_HIGH = 0x24
    BASE = 0x28             # read, write: byte address to which instructions' memory addresses are relative; 64 bits
    BASE_HIGH = 0x2C
    LIMIT = 0x30            # read, write: end of the readable range, which begins at BASE and includes instructions; 64 bits
    LIMIT_HIGH = 0x34
    WRITE_BASE = 0x38       # read, write: first byte that may be written; 64 bits
    WRITE_BASE_HIGH = 0x3C
    WRITE_LIMIT = 0x40      # read, write: end of the writable range; 64 bits
    WRITE_LIMIT_HIGH = 0x44
    CYCLE_LIMIT = 0x48      # read, write: cycles after which a run fails; 0: never; 64 bits
    CYCLE_LIMIT_HIGH = 0x4C
    CYCLES = 0x50           # read: cycles from start to the end of the run; 64 bits
    CYCLES_HIGH = 0x54
    ERROR_UNIT = 0x58       # read: Block at fault
    ERROR_ADDRESS = 0x60    # read: byte address outside the limits that ended the run, else 0; 64 bits
    ERROR_ADDRESS_HIGH = 0x64
    BEATS_READ = 0x68       # read: words read from memory; 64 bits
    BEATS_READ_HIGH = 0x6C
    BEATS_WRITTEN = 0x70    # read: words written to memory; 64 bits
    BEATS_WRITTEN_HIGH = 0x74
    RETIRED = 0x80          # read: completed instructions, one register per block; for FETCH, fetched ones
    FETCHED = 0x9C
    STATE = 0xA0            # read: one register per block, see StateWord; for FETCH, only the cause is not zero
    FETCH_STATE = 0xBC
    TOKENS = 0xC0           # read: 64 bits per consumer: eight bits of tokens for each producer
    WEIGHTS_HELD = 0x100    # read: words in the weight FIFO
    PARAMETERS_HELD = 0x104  # read: entries in the parameter FIFO
    LOOKUP_TABLES_HELD = 0x108      # read: whole pages in the lookup table FIFO
    ACCUMULATOR_BANKS = 0x10C   # read: accumulator banks that are not empty in bits 0-7, full ones in 8-15; DEPTHWISE above
    BURSTS = 0x110          # read: outstanding bursts on the bus: reads in bits 0-7, writes in 8-15
    COUNTERS = 0x400        # read: 64-bit counters, COUNTERS + 128 * block + 8 * cause


RESET_VALUES = {Register.WATCHDOG: 1 << 20, Register.CYCLE_LIMIT: 1 << 36}
"""Reset values of writable registers; all others are 0, so that nothing may be read or written."""


class Control(IntEnum):
    """Bit positions in CONTROL."""

    START = 0   # begins a run: clears counters, errors and every unit's state, then fetches
    RESET = 1   # ends a run without finishing it, once the bus is quiet


class Status(IntEnum):
    """Bit positions in STATUS."""

    BUSY = 0
    DONE = 1
    FAILED = 2
    BUS_STUCK = 3   # memory did not answer a burst: START is refused until core and interconnect are reset
    ERROR = 8   # lowest of eight bits


class Error(IntEnum):
    """Why a run failed."""

    NONE = 0
    ILLEGAL_INSTRUCTION = 1
    BUS_READ = 2
    BUS_WRITE = 3
    TOKEN_OVERFLOW = 4
    TOKENS_LEFT = 5
    DATA_LEFT = 6
    WATCHDOG = 7
    READ_OUTSIDE = 8
    WRITE_OUTSIDE = 9
    DAMAGED_INSTRUCTION = 10
    CYCLE_LIMIT = 11
    BUS_STUCK = 12
    BUS_BROKEN = 13


ERROR_TEXT = {
    Error.ILLEGAL_INSTRUCTION: "illegal instruction: unknown opcode or a field out of range",
    Error.BUS_READ: "the bus answered a read with an error",
    Error.BUS_WRITE: "the bus answered a write with an error",
    Error.TOKEN_OVERFLOW: "misordered tokens: more tokens given than a counter holds",
    Error.TOKENS_LEFT: "misordered tokens: the program ended with tokens that nobody took",
    Error.DATA_LEFT: "the program ended with weights, parameters, tables or sums that nobody took",
    Error.WATCHDOG: "watchdog: no unit made progress",
    Error.READ_OUTSIDE: "a read outside the memory that registers BASE and LIMIT allow",
    Error.WRITE_OUTSIDE: "a write outside the memory that registers WRITE_BASE and WRITE_LIMIT allow",
    Error.DAMAGED_INSTRUCTION: "damaged instruction: its CRC-32 does not fit it and its place in the program",
    Error.CYCLE_LIMIT: "the run took more cycles than register CYCLE_LIMIT allows",
    Error.BUS_STUCK: "the bus left a burst without an answer: reset the accelerator together with its interconnect",
    Error.BUS_BROKEN: "the bus answered what was not asked, or ended a burst elsewhere than asked",
}


class Cause(IntEnum):
    """The activity of a unit in a cycle; each cycle of each unit counts for exactly one cause."""

    IDLE = 0            # no instruction; FETCH: End is dispatched
    COMPUTING = 1       # computing or transferring; FETCH: decoding and dispatching
    TOKEN = 2           # waiting for a token of another unit, or for the unit's own earlier instructions
    WEIGHTS = 3         # ARRAY: the next tile is missing; POST: parameters or a lookup table are missing
    ACTIVATIONS = 4     # the scratchpad delivers no word (POST), or serves another unit (LOAD, POST, STORE)
    MEMORY = 5          # FETCH, LOAD, STORE: the bus
    DRAINING = 6        # ARRAY: no empty accumulator bank
    SPACE = 7           # LOAD, ATTENTION: the FIFO to fill has no room; FETCH: the queue of the next instruction is full
    SUMS = 8            # POST: no full accumulator bank
    OVERHEAD = 9        # start-up, pipeline fill and end of an instruction


CAUSE_BITS = 4
CYCLE_BITS = 48     # bits of cycle counters and of CYCLE_LIMIT
TOKEN_BITS = 8


def counter_address(block: Block | Unit, cause: Cause) -> int:
    """Byte address of the low half of a counter."""
    return Register.COUNTERS + 8 * (block << CAUSE_BITS | cause)


@dataclass(frozen=True)
class StatusWord:
    """STATUS taken apart."""

    busy: bool
    done: bool
    failed: bool
    error: Error
    bus_stuck: bool = False

    @classmethod
    def decode(cls, value: int) -> "StatusWord":
        error = value >> Status.ERROR & 0xFF
        return cls(bool(value >> Status.BUSY & 1), bool(value >> Status.DONE & 1), bool(value >> Status.FAILED & 1),
                   Error(error), bool(value >> Status.BUS_STUCK & 1))


@dataclass(frozen=True)
class StateWord:
    """STATE of a unit: instructions waiting in its queue in bits 0-7, started but not complete in 8-15, its cause
    in 16-19, and in 24-29 the units whose token the next instruction lacks (its own: earlier ones must complete first).
    """

    waiting: int
    in_flight: int
    cause: Cause
    missing: Units

    @classmethod
    def decode(cls, value: int) -> "StateWord":
        return cls(value & 0xFF, value >> 8 & 0xFF, Cause(value >> 16 & 0xF), Units(value >> 24 & (1 << UNIT_SLOTS) - 1))
