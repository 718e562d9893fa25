"""Instructions encode, decode, print and parse; values out of range are refused by name."""

import random
import zlib
from dataclasses import replace

import pytest

from arrayloom.isa.errors import EncodingError
from arrayloom.isa.fields import FIELD_BYTES, INSTRUCTION_BYTES, Instruction, Unit, check_of, encode_all
from arrayloom.isa.instructions import BY_OPCODE, INSTRUCTIONS, Convolve, LoadWeights, decode, parse


def _random(cls: type[Instruction], rng: random.Random) -> Instruction:
    return cls(**{spec.name: rng.choice([spec.low, spec.high, rng.randint(spec.low, spec.high)])
                  for spec in cls.specs()[1:]})


@pytest.mark.parametrize("cls", INSTRUCTIONS)
def test_binary_and_text_forms_round_trip(cls: type[Instruction]) -> None:
    rng = random.Random(1)
    for _ in range(200):
        instruction = _random(cls, rng)
        index = rng.randrange(1 << 32)
        assert decode(instruction.encode(index), index) == instruction
        assert parse(str(instruction)) == instruction


@pytest.mark.parametrize("cls", INSTRUCTIONS)
def test_every_field_is_range_checked(cls: type[Instruction]) -> None:
    for spec in cls.specs()[1:]:
        for value in (spec.low - 1, spec.high + 1):
            with pytest.raises(EncodingError, match=rf"{cls.mnemonic()}: {spec.name} = {value}: must be from"):
                cls(**{spec.name: value}).encode()


def test_all_at_once_are_encoded_as_one_by_one() -> None:
    rng = random.Random(2)
    instructions = [_random(cls, rng) for _ in range(50) for cls in INSTRUCTIONS]
    rng.shuffle(instructions)
    assert encode_all(instructions).tobytes() == b"".join(one.encode(index) for index, one in enumerate(instructions))


@pytest.mark.parametrize("value", [-1, 1 << 40, 1 << 70])
def test_all_at_once_are_range_checked(value: int) -> None:
    with pytest.raises(EncodingError, match=f"load_weights: words = {value}: must be from"):
        encode_all([Convolve(), LoadWeights(words=1), LoadWeights(words=value)])


@pytest.mark.parametrize("cls", INSTRUCTIONS)
def test_a_changed_instruction_is_another_one(cls: type[Instruction]) -> None:
    before = _random(cls, random.Random(3))
    text = str(before)
    assert before.changed(wait=3, signal=5) == replace(before, wait=3, signal=5)
    assert str(before) == text
    with pytest.raises(TypeError, match=f"{cls.mnemonic()} has no field speed"):
        before.changed(speed=1)


def test_opcodes_are_distinct_and_every_unit_has_work() -> None:
    assert len(BY_OPCODE) == len(INSTRUCTIONS)
    assert {cls.UNIT for cls in INSTRUCTIONS} == {None, *Unit}


def _sealed(fields: bytes, index: int = 0) -> bytes:
    """Any fields with a valid checksum."""
    return fields + check_of(fields, index)


def test_unknown_opcode_is_refused() -> None:
    with pytest.raises(EncodingError, match="opcode 63: unknown"):
        decode(_sealed(b"\x3f" + bytes(FIELD_BYTES - 1)))


def test_reserved_bits_are_refused() -> None:
    with pytest.raises(EncodingError, match="load_weights: bits 78 to 479 must be zero"):
        decode(_sealed(LoadWeights().encode()[:FIELD_BYTES - 1] + b"\x80"))


def test_the_check_covers_every_bit_and_the_index() -> None:
    """Its value is that of ``zlib.crc32``, so other tools can make programs."""
    instruction = Convolve(height=3, width=5, first=1)
    code = instruction.encode(7)
    assert code[FIELD_BYTES:] == zlib.crc32(code[:FIELD_BYTES] + bytes([7, 0, 0, 0])).to_bytes(4, "little")
    with pytest.raises(EncodingError, match="the check of instruction 8 does not fit it"):
        decode(code, 8)
    for bit in range(8 * INSTRUCTION_BYTES):
        flipped = bytearray(code)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(EncodingError, match="the check of instruction 7 does not fit it"):
            decode(bytes(flipped), 7)


def test_wrong_length_is_refused() -> None:
    with pytest.raises(EncodingError, match="is 64 bytes, not 3"):
        decode(b"abc")


@pytest.mark.parametrize(("line", "message"), [
    ("jump", "instruction 'jump': unknown"),
    ("convolve speed=3", "field 'speed': unknown"),
    ("convolve blocks=many", "blocks = 'many': not a value"),
    ("convolve wait=OVEN", "wait = 'OVEN': not a value"),
])
def test_bad_text_is_refused(line: str, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        parse(line)


def test_text_names_units_and_leaves_out_zeros() -> None:
    text = str(Convolve(wait=1 << Unit.LOAD | 1 << Unit.POST, source=5, origin_x=-3, first=1))
    assert text.startswith("convolve wait=LOAD+POST source=5 origin_x=-3 stride_y=1")
