"""Accelerators in a LiteX system on a chip, on a board or simulated: how a host reaches them."""
