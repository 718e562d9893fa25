"""Synthesis, placement and routing with open tools from wheels: an accelerator's resources and clock frequency."""
