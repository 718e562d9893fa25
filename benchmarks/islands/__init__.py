"""Training of the islands (sim/rtl/islands): which registers of the fast simulation are skipped together while idle."""
