"""Training of the islands (sim/rtl/islands): which registers of the fast simulation sleep together."""
