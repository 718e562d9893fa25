"""The DEPTHWISE unit: from words of the scratchpad to banks of sums that the POST unit reads."""

from arrayloom.hdl.depthwise.choice import SumsChoice
from arrayloom.hdl.depthwise.unit import DepthwiseUnit

__all__ = ["DepthwiseUnit", "SumsChoice"]
