"""Every field at both ends of its range: emulator and RTL refuse the same, and leave the same of the rest."""

import pytest
from field_extremes import cases, check_ends

from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import INSTRUCTIONS, End


@pytest.mark.parametrize("cls", [cls for cls in INSTRUCTIONS if cls is not End], ids=lambda cls: cls.mnemonic())
def test_every_field_at_its_ends(cls: type[Instruction]) -> None:
    check_ends(simulator_of(PRESETS["tiny"]), cls, cases(cls))
