"""The fast simulation of the RTL: Verilator's model, clock, memory and bus in one library, driven from Python."""
