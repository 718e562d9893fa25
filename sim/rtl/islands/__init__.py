"""Islands: parts of the fast simulation that are skipped while nothing in them can change.

Verilator evaluates everything that a clock drives in each of its cycles, although most registers keep their values
in most cycles. Here every register and every clocked memory port belongs to an island with its own clock
(split.py), and the netlist computes for each island whether anything in it can change at the next edge (wake.py). The
harness fires only the clocks of those islands, and Verilator evaluates only what they drive.

The assignment of registers to islands affects only speed (partition.py). That a skipped island keeps its state
is proved for each netlist (prove.py), and checked at run time by a build that also fires every clock
(harness/twin.h).
"""
