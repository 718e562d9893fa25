"""Synthesis, placement and routing for an ECP5, by open tools from wheels: what an accelerator takes, how fast it is."""
