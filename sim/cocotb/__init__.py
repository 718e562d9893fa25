"""The RTL under cocotb: slower than ``arrayloom.sim.rtl``, but an outside library plays buses, memory and faults."""
