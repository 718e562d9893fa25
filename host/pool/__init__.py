"""Spreading work over processes of this machine, and over the machines of a Ray cluster."""
