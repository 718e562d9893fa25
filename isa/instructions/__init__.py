"""The instructions. The emulator, which executes them one by one, defines exactly what each does.

Addresses of memory are bytes from the program's memory base and multiples of the word; addresses on chip, pitches and
counts are words. A *region* is ``height`` rows of ``width`` pixels; consecutive rows are a pitch apart.
"""

from arrayloom.isa.errors import EncodingError
from arrayloom.isa.fields import FIELD_BYTES, INSTRUCTION_BYTES, Instruction, Unit, check_of
from arrayloom.isa.instructions.array import CentredConvolve, Convolve
from arrayloom.isa.instructions.attention import DrainAttention, FeedWeights, Moments, Normalize, Softmax, Turn
from arrayloom.isa.instructions.depthwise import Depthwise, DrainDepthwise
from arrayloom.isa.instructions.post import Drain, Elementwise, Pool, PoolKind, PostInstruction, ResidualInstruction
from arrayloom.isa.instructions.transfers import End, LoadActivations, LoadLookupTable, LoadParameters, LoadWeights, Store
from arrayloom.isa.instructions.widths import (
    ADD_FRACTION,
    ADDRESS,
    BYTE_VALUES,
    COUNTED,
    DEPTHWISE_TAPS,
    EPSILON,
    EXTENT,
    FACTOR,
    LOOKUP_TABLE_WORDS,
    MEMORY_PITCH,
    OFFSET,
    ORIGIN,
    PRODUCT_OFFSETS,
    RATIO,
    SIGNIFICANT,
    STRIDE,
    TAPS,
    THRESHOLDS,
    TRANSFER,
    WORD_ADDRESS,
    ZERO_POINT,
)

__all__ = [
    "ADDRESS", "ADD_FRACTION", "BYTE_VALUES", "BY_MNEMONIC", "BY_OPCODE", "COUNTED", "DEPTHWISE_TAPS", "EPSILON", "EXTENT",
    "FACTOR", "INSTRUCTIONS", "LOOKUP_TABLE_WORDS", "MEMORY_PITCH", "OFFSET", "OF_ATTENTION", "OF_DEPTHWISE", "ORIGIN",
    "PRODUCT_OFFSETS", "RATIO", "SIGNIFICANT", "STRIDE", "TAPS", "THRESHOLDS", "TRANSFER", "WORD_ADDRESS", "ZERO_POINT",
    "CentredConvolve", "Convolve", "Depthwise", "Drain", "DrainAttention", "DrainDepthwise", "Elementwise", "End",
    "FeedWeights", "LoadActivations", "LoadLookupTable", "LoadParameters", "LoadWeights", "Moments", "Normalize", "Pool",
    "PoolKind", "PostInstruction", "ResidualInstruction", "Softmax", "Store", "Turn", "decode", "parse",
]

INSTRUCTIONS: tuple[type[Instruction], ...] = (
    End, LoadWeights, LoadParameters, LoadLookupTable, LoadActivations, Store, Convolve, Drain, Elementwise, Pool, Depthwise,
    DrainDepthwise, CentredConvolve, FeedWeights, Turn, Softmax, Moments, Normalize, DrainAttention)
OF_DEPTHWISE = (Depthwise, DrainDepthwise)
"""Those that only an accelerator with the DEPTHWISE unit has."""
OF_ATTENTION = (CentredConvolve, FeedWeights, Turn, Softmax, Moments, Normalize, DrainAttention)
"""Those that only an accelerator with the ATTENTION unit has."""
BY_OPCODE = {cls.OPCODE: cls for cls in INSTRUCTIONS}
BY_MNEMONIC = {cls.mnemonic(): cls for cls in INSTRUCTIONS}


def decode(data: bytes, index: int = 0) -> Instruction:
    """The instruction in 64 bytes at place ``index`` from a program's memory base.

    Raises ``EncodingError`` for a check that does not fit, an unknown opcode, nonzero reserved bits or an illegal mask.
    """
    if len(data) != INSTRUCTION_BYTES:
        raise EncodingError(f"an instruction is {INSTRUCTION_BYTES} bytes, not {len(data)}")
    fields = data[:FIELD_BYTES]
    if data[FIELD_BYTES:] != check_of(fields, index):
        raise EncodingError(f"the check of instruction {index} does not fit it: it is damaged, or belongs elsewhere")
    word = int.from_bytes(fields, "little")
    opcode = Instruction.specs()[0].extract(word)
    cls = BY_OPCODE.get(opcode)
    if cls is None:
        raise EncodingError(f"opcode {opcode}: unknown; known are {sorted(BY_OPCODE)}")
    return cls.from_word(word)


def parse(text: str) -> Instruction:
    """The instruction that prints as ``text``; raises ``EncodingError`` for an unknown name or a bad value."""
    mnemonic, *parts = text.split()
    cls = BY_MNEMONIC.get(mnemonic)
    if cls is None:
        raise EncodingError(f"instruction {mnemonic!r}: unknown; known are {', '.join(BY_MNEMONIC)}")
    specs = {spec.name: spec for spec in cls.specs()[1:]}
    values = dict.fromkeys(specs, 0)
    for part in parts:
        name, _, value = part.partition("=")
        if name not in specs:
            raise EncodingError(f"{mnemonic}: field {name!r}: unknown; known are {', '.join(specs)}")
        values[name] = _parse_value(mnemonic, name, value)
    return cls(**values)


def _parse_value(mnemonic: str, name: str, value: str) -> int:
    try:
        if name in ("wait", "signal"):
            return sum(1 << Unit[unit] for unit in value.split("+"))
        return int(value, 0)
    except (KeyError, ValueError):
        raise EncodingError(f"{mnemonic}: {name} = {value!r}: not a value of this field") from None
