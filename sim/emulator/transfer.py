"""The LOAD and STORE instructions."""

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.instructions import (
    LOOKUP_TABLE_WORDS,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Store,
)
from arrayloom.sim.emulator.machine import EmulatorError, Machine


def load_weights(machine: Machine, instruction: LoadWeights) -> None:
    if not instruction.words or instruction.words % machine.config.size:
        raise EmulatorError(f"{instruction.words} words of weights: must be one or more tiles of {machine.config.size}")
    machine.weights.append(machine.read_memory(instruction.address, instruction.words))


def load_parameters(machine: Machine, instruction: LoadParameters) -> None:
    """Appends uint32[2, lanes] for each entry."""
    if not instruction.entries:
        raise EmulatorError("0 parameter entries to load: at least one is needed")
    words = machine.read_memory(instruction.address, instruction.entries * machine.config.parameter_beats)
    machine.parameters.extend(words.reshape(-1).view(np.uint32).reshape(instruction.entries, 2, machine.config.lanes))


def load_lookup_table(machine: Machine, instruction: LoadLookupTable) -> None:
    machine.tables.append(machine.read_memory(instruction.address, LOOKUP_TABLE_WORDS))


def load_activations(machine: Machine, instruction: LoadActivations) -> None:
    chip = chip_runs(machine, instruction.destination, instruction)
    machine.activations[chip] = _memory_runs(machine, instruction)


def store(machine: Machine, instruction: Store) -> None:
    words = machine.activations[chip_runs(machine, instruction.source, instruction)]
    size = machine.config.size
    for row in range(instruction.rows):
        address = instruction.address + row * instruction.memory_pitch * size
        if address < machine.write_base:
            raise EmulatorError(f"a store to {address:#x}: what may be written begins at {machine.write_base:#x}")
        machine.read_memory(address, instruction.words)[:] = words[row]


def chip_runs(machine: Machine, first: int, instruction: LoadActivations | Store) -> NDArray[np.int64]:
    """int64[rows, words]: the activation words of a two-dimensional transfer."""
    starts = first + np.arange(instruction.rows) * instruction.chip_pitch
    addresses = starts[:, None] + np.arange(instruction.words)
    if addresses.size == 0 or addresses.max() >= machine.config.activation_words:
        raise EmulatorError(f"{instruction}: outside the scratchpad of {machine.config.activation_words} words")
    return addresses


def _memory_runs(machine: Machine, instruction: LoadActivations) -> NDArray[np.int8]:
    pitch = instruction.memory_pitch * machine.config.size
    return np.stack([machine.read_memory(instruction.address + row * pitch, instruction.words)
                     for row in range(instruction.rows)])
