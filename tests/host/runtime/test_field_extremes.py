"""Every field at both ends of its range: emulator and RTL refuse the same ones, and agree on the others' results."""

from dataclasses import replace

import pytest
from field_extremes import cases, check_ends

from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import INSTRUCTIONS, OF_DEPTHWISE, End

TINY = PRESETS["tiny"]
DEPTHWISE = replace(TINY, name="tiny-depthwise", depthwise_channels=TINY.size)


@pytest.mark.parametrize("cls", [cls for cls in INSTRUCTIONS if cls is not End], ids=lambda cls: cls.mnemonic())
def test_every_field_at_its_ends(cls: type[Instruction]) -> None:
    config = DEPTHWISE if cls in OF_DEPTHWISE else TINY
    check_ends(simulator_of(config), cls, cases(cls), config)
