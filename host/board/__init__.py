"""The accelerator in a LiteX system on a chip: for boards, and simulated whole. Needs the extra ``board``."""
