"""The living definition of the ISA: programs executed one instruction at a time, in numpy."""

from arrayloom.sim.emulator.emulator import Capture, Emulator
from arrayloom.sim.emulator.machine import EmulatorError, Machine

__all__ = ["Capture", "Emulator", "EmulatorError", "Machine"]
