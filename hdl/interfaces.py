"""The signatures between units, each defined once; widths are derived from the configuration."""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Shape, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Member, Out, Signature
from amaranth.utils import ceil_log2, exact_log2

from arrayloom.hdl.interleave import bank_bits
from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.config import ACCUMULATOR_BANKS, Config
from arrayloom.isa.fields import FIELD_BITS, Instruction
from arrayloom.isa.instructions import LOOKUP_TABLE_WORDS, WORD_ADDRESS, Convolve, Depthwise, Pool
from arrayloom.isa.registers import BLOCK_SLOTS, CAUSE_BITS, REGISTER_ADDRESS_BITS

MEMORY_LATENCY = 3      # cycles from an accepted request to its data, scratchpad and accumulators alike
INSTRUCTION = unsigned(FIELD_BITS)  # without its check


def instruction_layout(cls: type[Instruction]) -> data.StructLayout:
    """The fields of an instruction as an Amaranth layout, derived from the ISA's description of it."""
    fields = {spec.name: signed(spec.width) if spec.signed else unsigned(spec.width) for spec in cls.specs()}
    end = cls.specs()[-1].offset + cls.specs()[-1].width
    fields["reserved"] = unsigned(FIELD_BITS - end)
    return data.StructLayout(fields)


def leaves_scratchpad(address: Value, config: Config) -> Value:
    """Whether a word address, which may have more bits than ``WORD_ADDRESS``, is beyond the scratchpad's end."""
    return address[exact_log2(config.activation_words):].any()


def coordinate(cls: type[Convolve | Depthwise | Pool], outputs: int) -> Shape:
    """The shape of a source row or column of a window, inside the source or not.

    Parameters
    ----------
    cls : type
        ``Convolve``, ``Depthwise`` or ``Pool``, whose fields bound origin, strides and dilations.
    outputs : int
        Most rows or columns of the output region.

    Returns
    -------
    Shape
        Signed.
    """
    high = {spec.name: spec.high for spec in cls.specs()}
    reach = max(high[f"origin_{axis}"] + high[f"stride_{axis}"] * outputs + high[f"dilation_{axis}"] * high[f"taps_{axis}"]
                for axis in "yx")
    return signed(ceil_log2(reach + 1) + 1)


def unit_signature() -> Signature:
    """The interface of every executing unit to its issue queue, seen from the unit.

    Members
    -------
    instruction : In(stream.Signature(INSTRUCTION))
        Raw instructions whose tokens are taken.
    retired : Out(1)
        A pulse for each instruction, in order, when its effects are visible.
    cause : Out(CAUSE_BITS)
        What the unit does in this cycle, an ``arrayloom.isa.registers.Cause``; IDLE when it has no instruction.
    illegal : Out(1)
        A pulse when a field is out of range.
    """
    return Signature({
        "instruction": In(stream.Signature(INSTRUCTION)),
        "retired": Out(1),
        "cause": Out(CAUSE_BITS),
        "illegal": Out(1),
    })


def bank_of(address: Value, config: Config) -> Value:
    """The bank of a word of the scratchpad, by the rule of ``arrayloom.hdl.interleave``."""
    bits = bank_bits(ceil_log2(config.activation_words), config.activation_banks)
    return Cat(reduce(xor, address[chosen]) for chosen in bits)


def read_port_signature(config: Config) -> Signature:
    """A read port of the scratchpad, seen from the reader.

    Members
    -------
    valid : Out(1)
        A request, accepted in a cycle with ``ready``.
    address : Out(WORD_ADDRESS)
        The word to read.
    bank : Out(range(activation_banks))
        ``bank_of`` the address, from a register if possible, since arbitration starts with it.
    ready : In(1)
    data : In(word_bits)
        The word, ``MEMORY_LATENCY`` cycles after its request was accepted.
    """
    return Signature({
        "valid": Out(1),
        "address": Out(WORD_ADDRESS),
        "bank": Out(range(config.activation_banks)),
        "ready": In(1),
        "data": In(config.word_bits),
    })


def write_port_signature(config: Config) -> Signature:
    """A write port of the scratchpad, seen from the writer.

    Members
    -------
    valid : Out(1)
        A request, accepted in a cycle with ``ready``; reads accepted later see the word.
    address : Out(WORD_ADDRESS)
        The word to write.
    bank : Out(range(activation_banks))
        ``bank_of`` the address.
    data : Out(word_bits)
    ready : In(1)
    """
    return Signature({
        "valid": Out(1),
        "address": Out(WORD_ADDRESS),
        "bank": Out(range(config.activation_banks)),
        "data": Out(config.word_bits),
        "ready": In(1),
    })


def accumulator_read_signature(config: Config) -> Signature:
    """The full accumulator bank, seen from the POST unit.

    Members
    -------
    available : In(1)
        A bank is full.
    last : In(range(accumulator_depth))
        The number of its last pixel, until the bank is given back.
    enable : Out(1)
        Read the sums of pixel ``address``.
    address : Out(range(accumulator_depth))
    data : In(ArrayLayout(signed(32), size))
        The sums, one for each column, ``MEMORY_LATENCY`` cycles after ``enable``.
    release : Out(1)
        A pulse gives the bank back; at the earliest with the last ``enable``.
    """
    return Signature({
        "available": In(1),
        "last": In(ceil_log2(config.accumulator_depth)),
        "enable": Out(1),
        "address": Out(ceil_log2(config.accumulator_depth)),
        "data": In(data.ArrayLayout(signed(32), config.size)),
        "release": Out(1),
    })


def sink_signature(config: Config) -> Signature:
    """A FIFO filled by LOAD, seen from LOAD. It never stalls: LOAD requests at most ``free`` words from memory.

    Members
    -------
    valid : Out(1)
        A word goes into the FIFO.
    data : Out(word_bits)
    free : In(range(most + 1))
        Number of words that it has room for; ``most`` for the largest FIFO.
    """
    tables = config.table_pages * LOOKUP_TABLE_WORDS
    most = max(config.weight_words, config.parameter_entries * config.parameter_beats, tables)
    return Signature({"valid": Out(1), "data": Out(config.word_bits), "free": In(range(most + 1))})


def axi_signature(config: Config) -> Signature:
    """AXI4 master port: addresses of ``ADDRESS_BITS``, 2-bit identifiers, a bus of one word."""
    address = {"id": 2, "addr": ADDRESS_BITS, "len": 8, "size": 3, "burst": 2, "prot": 3, "cache": 4, "qos": 4}
    members: dict[str, Member] = {}
    for channel in ("ar", "aw"):
        members |= {channel + name: Out(width) for name, width in address.items()}
        members |= {channel + "valid": Out(1), channel + "ready": In(1)}
    members |= {"rid": In(2), "rdata": In(config.word_bits), "rresp": In(2), "rlast": In(1), "rvalid": In(1),
                "rready": Out(1)}
    members |= {"wdata": Out(config.word_bits), "wstrb": Out(config.size), "wlast": Out(1), "wvalid": Out(1),
                "wready": In(1)}
    members |= {"bid": In(2), "bresp": In(2), "bvalid": In(1), "bready": Out(1)}
    return Signature(members)


def axi_lite_signature() -> Signature:
    """AXI4-Lite slave port, seen from the slave: addresses of ``REGISTER_ADDRESS_BITS``, 32-bit data."""
    return Signature({
        "awaddr": In(REGISTER_ADDRESS_BITS), "awvalid": In(1), "awready": Out(1),
        "wdata": In(32), "wstrb": In(4), "wvalid": In(1), "wready": Out(1),
        "bresp": Out(2), "bvalid": Out(1), "bready": In(1),
        "araddr": In(REGISTER_ADDRESS_BITS), "arvalid": In(1), "arready": Out(1),
        "rdata": Out(32), "rresp": Out(2), "rvalid": Out(1), "rready": In(1),
    })


def trace_signature(config: Config) -> Signature:
    """Every word written by the POST unit, for comparison with the emulator; unconnected on a board.

    Members
    -------
    valid : Out(1)
        A word is written.
    address : Out(WORD_ADDRESS)
    data : Out(word_bits)
    """
    return Signature({"valid": Out(1), "address": Out(WORD_ADDRESS), "data": Out(config.word_bits)})


def events_signature() -> Signature:
    """The activity of each block (``arrayloom.isa.registers.Block``), for a timeline of the run; unconnected on a board.

    Members
    -------
    running : Out(1)
        In each cycle that CYCLES counts.
    retired : Out(BLOCK_SLOTS)
        Bit ``block``: its oldest instruction ends with this cycle.
    causes : Out(ArrayLayout(CAUSE_BITS, BLOCK_SLOTS))
        The cause that each block counts in this cycle.
    """
    return Signature({"running": Out(1), "retired": Out(BLOCK_SLOTS),
                      "causes": Out(data.ArrayLayout(CAUSE_BITS, BLOCK_SLOTS))})


def levels_signature(config: Config) -> Signature:
    """Fill levels of the FIFOs and banks between units, seen from these.

    Members
    -------
    weights : Out(range(weight_words + 1))
        Words in the weight FIFO.
    parameters : Out(range(parameter_entries + 1))
        Entries in the parameter FIFO.
    tables : Out(range(table_pages + 1))
        Whole pages in the lookup table FIFO.
    used : Out(range(ACCUMULATOR_BANKS + 1))
        Accumulator banks that are not empty.
    full : Out(range(ACCUMULATOR_BANKS + 1))
        Accumulator banks that the POST unit may drain.
    optional_used, optional_full : Out(range(ACCUMULATOR_BANKS + 1))
        Likewise of the DEPTHWISE or ATTENTION unit, where there is one.
    """
    count = Out(range(ACCUMULATOR_BANKS + 1))
    optional = {"optional_used": count, "optional_full": count} if config.has_sums else {}
    return Signature({
        "weights": Out(range(config.weight_words + 1)), "parameters": Out(range(config.parameter_entries + 1)),
        "tables": Out(range(config.table_pages + 1)), "used": Out(range(ACCUMULATOR_BANKS + 1)),
        "full": Out(range(ACCUMULATOR_BANKS + 1)), **optional,
    })
