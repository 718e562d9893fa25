"""The DEPTHWISE unit: everything between the scratchpad and the POST unit's reads of its sums."""

from arrayloom.hdl.depthwise.choice import SumsChoice
from arrayloom.hdl.depthwise.unit import DepthwiseUnit

__all__ = ["DepthwiseUnit", "SumsChoice"]
