"""Fields at both ends of their range, and with one bit changed: emulator and RTL refuse the same and agree on the rest."""

import pytest
from field_bits import CLASSES, single_bits
from field_extremes import cases, check_ends
from small_accelerators import ATTENTION, DEPTHWISE, TINY

from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import INSTRUCTIONS, OF_ATTENTION, OF_DEPTHWISE, End


@pytest.mark.parametrize("cls", [cls for cls in INSTRUCTIONS if cls is not End], ids=lambda cls: cls.mnemonic())
def test_every_field_at_its_ends(cls: type[Instruction]) -> None:
    config = DEPTHWISE if cls in OF_DEPTHWISE else ATTENTION if cls in OF_ATTENTION else TINY
    check_ends(simulator_of(config), cls, cases(cls), config)


@pytest.mark.parametrize("cls", [cls for cls in TINY.instructions if cls in CLASSES], ids=lambda cls: cls.mnemonic())
def test_every_bit_of_every_field(cls: type[Instruction]) -> None:
    check_ends(simulator_of(TINY), cls, single_bits(cls))
