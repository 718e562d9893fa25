"""The POST unit: the epilogue of sums, and operations on words of the scratchpad."""

from arrayloom.hdl.post.unit import Post

__all__ = ["Post"]
