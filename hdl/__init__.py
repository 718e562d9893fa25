"""The accelerator in Amaranth HDL: one unit a file, ``top`` is wiring only."""
