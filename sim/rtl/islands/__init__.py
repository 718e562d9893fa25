"""Islands: parts of the fast simulation that sleep while nothing in them can change.

Verilator evaluates what a clock drives in each of its cycles, although most registers of the accelerator hold their values
in most cycles. Here every register and every clocked port of a memory belongs to an island with a clock of its own
(split.py), and the netlist computes for each island whether anything in it can change at the next edge (wake.py). The
harness fires the clocks of those islands alone, and Verilator evaluates only what they drive.

Which island a register belongs to decides the speed and nothing else (partition.py). That an island which is not awake
keeps its state is proved for each netlist (prove.py) and watched by a build that compares with every clock fired
(harness/twin.h).
"""
