"""The one contract that hardware, compiler, emulator and documents share."""
