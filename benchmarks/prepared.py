"""A network prepared for the accelerator: compiled, with one input in memory."""

from pathlib import Path

from arrayloom.host.runtime.boundary import device_inputs
from arrayloom.host.runtime.host_parts import HostParts
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.isa.image import Memory, build_memory, write_inputs
from arrayloom.isa.program import Program


def prepared_memory(program: Program, file: Path, recipe: str | None) -> Memory:
    """The memory before the doorbell, with the first image of ``file``; raises ``InputError`` for an unsuitable one."""
    batch = load_inputs(file, program.model_inputs, recipe)
    image = HostParts(program.host).before({name: values[:1] for name, values in batch.items()})[0]
    memory = build_memory(program)
    write_inputs(memory, program, {name: values[0] for name, values in device_inputs(image, program.inputs).items()})
    return memory
