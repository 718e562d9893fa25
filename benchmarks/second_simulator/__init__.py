"""The exported core on Icarus Verilog, every register and memory unknown at power-up, beside Verilator on the same bench."""
