"""The RTL under cocotb: slower than ``sim.rtl``, but with buses, memory and faults that an outside library plays."""
