"""The RTL under cocotb: slower than ``arrayloom.sim.rtl``, but with an independent library for buses, memory and faults."""
