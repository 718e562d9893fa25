"""The accelerator in Amaranth HDL: one unit per file; ``top`` is wiring only."""
