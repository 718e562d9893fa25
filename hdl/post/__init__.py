"""The POST unit: what happens to sums and bytes between the array, the scratchpad and themselves."""

from arrayloom.hdl.post.unit import Post

__all__ = ["Post"]
