"""The memory image of a run: program, constants, inputs and results."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.layout import from_signed, to_signed
from arrayloom.isa.ports import Slot
from arrayloom.isa.program import Program, ProgramError

Memory = NDArray[np.uint8]


def build_memory(program: Program) -> Memory:
    """A fresh memory, uint8[memory_bytes], with instructions and constants in place.

    Raises ``ProgramError`` if this machine does not have enough memory.
    """
    try:
        memory = np.zeros(program.memory_bytes, np.uint8)
    except MemoryError:
        raise ProgramError(f"the program needs {program.memory_bytes:,} bytes of memory, more than this machine "
                           "has; compile a smaller model, or run it on a larger machine") from None
    _place(memory, program.code_address, program.instructions)
    _place(memory, program.constants_address, program.constants)
    return memory


def write_inputs(memory: Memory, program: Program, inputs: Mapping[str, NDArray[Any]]) -> None:
    """Places every input: integers by input name, [C, H, W] or the model's shape without the batch."""
    for port in program.inputs:
        layout = port.slot.layout
        tensor = to_signed(np.ascontiguousarray(inputs[port.name]))
        shaped = tensor.reshape(layout.channels, layout.height, layout.width)
        _place(memory, port.slot.address, layout.pack(shaped))


def read_slot(memory: Memory, slot: Slot) -> NDArray[Any]:
    """The [C, H, W] tensor in a slot, in the model's dtype."""
    return from_signed(slot.layout.unpack(memory[slot.address:slot.address + slot.layout.byte_count]), np.dtype(slot.dtype))


def _place(memory: Memory, address: int, data: NDArray[np.uint8]) -> None:
    memory[address:address + data.size] = data
