"""The command line: one file per command; ``main`` combines them."""
