"""Compares the exported core on Icarus Verilog, with unknown registers and memories at power-up, with Verilator on the same
bench."""
