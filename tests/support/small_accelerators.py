"""The preset ``tiny``, also with a DEPTHWISE unit or an ATTENTION unit."""

from dataclasses import replace

from arrayloom.isa.config import PRESETS

TINY = PRESETS["tiny"]
ATTENTION = PRESETS["tiny-vit"]
DEPTHWISE = replace(TINY, name="tiny-depthwise", depthwise_channels=TINY.size)
WIDE = replace(DEPTHWISE, name="tiny-depthwise-wide", depthwise_columns=5)
ROOMY = replace(DEPTHWISE, name="tiny-depthwise-roomy", activation_bytes=1 << 18)
"""With room for small mobile networks."""
