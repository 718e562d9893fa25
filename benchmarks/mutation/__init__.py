"""Mutation testing of the hardware: faults are planted, and the tests must notice them (docs/mutation.md)."""
