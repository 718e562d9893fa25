"""Instructions with one bit of a field changed, for comparison of the emulator and the RTL (field_extremes.py)."""

from collections.abc import Iterator

from field_extremes import BASES, LONG, MASKS, OF_ADDS

from arrayloom.isa.fields import FieldSpec, Instruction
from arrayloom.isa.instructions import LoadParameters

UNDEFINED = {
    ("load_weights", "words"): range(257, 1 << 16),     # more weights than the FIFO holds, which nothing takes
    ("elementwise", "height"): range(1000, 8192),       # regions that overlap
    ("elementwise", "width"): range(1000, 16384)}
"""Values of fields with which a program has no defined result."""
CLASSES = [cls for cls in BASES if cls is not LoadParameters]   # others than the base's are left over
MOST = 1 << 10      # largest value of a field whose run is as long as it


def single_bits(cls: type[Instruction]) -> Iterator[tuple[Instruction, str]]:
    """The legal instruction of ``BASES`` with each bit of each field changed, with an add for fields of adds."""
    base = cls(**BASES[cls])
    for spec in cls.specs():
        if spec.name in MASKS:
            continue
        before = int(getattr(base, spec.name))
        for bit in range(spec.width):
            value = _changed(spec, before, bit)
            place = (cls.mnemonic(), spec.name)
            left_out = value in UNDEFINED.get(place, ()) or (place in LONG and value > MOST)
            if spec.low <= value <= spec.high and not left_out:
                yield _instruction(cls, spec, value), f"{spec.name} = {value}"


def _instruction(cls: type[Instruction], spec: FieldSpec, value: int) -> Instruction:
    return cls(**BASES[cls] | ({"add": 1} if spec.name in OF_ADDS else {}) | {spec.name: value})


def _changed(spec: FieldSpec, value: int, bit: int) -> int:
    """The field's value with one bit of its code changed."""
    code = (value ^ 1 << bit) & (1 << spec.width) - 1
    return code - (1 << spec.width) if spec.signed and code >> spec.width - 1 else code
