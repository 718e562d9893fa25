"""Execution of programs: the emulator, the RTL simulation and their comparison."""
