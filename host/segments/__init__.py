"""Runs a program as parallel segments, each checked against the emulator, and merges their cycles exactly."""
