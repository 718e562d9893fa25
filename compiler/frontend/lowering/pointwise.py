"""Products over the last axis as convolutions with a kernel of 1: the sums, scales and roundings are the same."""

import numpy as np

from arrayloom.compiler.frontend.quantization import Weight
from arrayloom.compiler.frontend.report import RefusalError

RANKS = (3, 4)  # [N, L, K] and [N, H, W, K]


def channels_first(rank: int) -> list[int]:
    """The order of axes that brings the last to the place of the channels."""
    return [0, rank - 1, *range(1, rank - 1)]


def channels_last(rank: int) -> list[int]:
    """The order of axes that brings the channels to the last place."""
    return [0, *range(2, rank), 1]


def pointwise_kernel(weight: Weight, rank: int, operand: str) -> Weight:
    """A weight [K, M], or [1, ..., K, M], as that of a convolution, [M, K, 1] or [M, K, 1, 1].

    Args:
        weight: the second operand of the product.
        rank: of its first operand.
        operand: name of the first operand, for refusals.

    Raises:
        RefusalError: another rank, a batch of weights, or zero points that differ between channels.
    """
    values = weight.values
    if rank not in RANKS:
        raise RefusalError(
            f"a product of a tensor of rank {rank}", "use [N, F], [N, L, F] or [N, H, W, F]", f"input '{operand}'"
        )
    if values.ndim < 2 or any(extent != 1 for extent in values.shape[:-2]):
        raise RefusalError(
            f"its weights have shape {list(values.shape)}", "use one matrix [K, M] for all positions", f"input '{operand}'"
        )
    if np.unique(weight.zero_point).size > 1:
        raise RefusalError(
            "the zero points of its weights differ between channels, for which ONNX Runtime has no convolution",
            "quantize the weights symmetrically",
        )
    matrix = values.reshape(values.shape[-2:]).T
    return Weight(np.ascontiguousarray(matrix).reshape(*matrix.shape, *[1] * (rank - 2)), weight.scale, weight.zero_point)
