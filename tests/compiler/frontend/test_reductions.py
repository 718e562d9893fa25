"""Sums, means, maxima and minima over any axes except the batch."""

from typing import Any

import numpy as np
import pytest
from qdq_cases import ON_THE_DEVICE, Case

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import import_model

SHAPES = {2: (11,), 3: (5, 9), 4: (5, 6, 7)}
AXES = [(4, [2, 3]), (4, [2]), (4, [-1]), (4, [1]), (4, [1, 2]), (4, [1, 2, 3]), (3, [2]), (3, [1]), (3, [1, 2]), (2, [1])]


def _reduce(case: Case, operator: str, axes: list[int], keepdims: int) -> str:
    as_input = case.opset >= (13 if operator == "ReduceSum" else 18)
    if as_input:
        return case.node(operator, [case.real["a"], case.constant(np.array(axes))], keepdims=keepdims)
    return case.node(operator, [case.real["a"]], axes=axes, keepdims=keepdims)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("operator", ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"])
@pytest.mark.parametrize(("rank", "axes"), AXES)
def test_reductions(rank: int, axes: list[int], operator: str, keepdims: int, dtype: Any) -> None:
    case = Case(dtype, opset=13 + 5 * keepdims, a=SHAPES[rank])
    scale = 0.9 if operator == "ReduceSum" else 0.06
    case.check(_reduce(case, operator, axes, keepdims), scale=scale, most=0 if operator in ("ReduceMax", "ReduceMin") else 1)


@pytest.mark.parametrize("operator", ["ReduceSum", "ReduceMax"])
def test_a_reduction_over_the_batch_is_refused(operator: str) -> None:
    case = Case(a=(4, 5, 5))
    case.quantize(_reduce(case, operator, [0, 1], 1), 0.05, 3, output="y")
    with pytest.raises(UnsupportedError, match="would mix images"):
        import_model(case.model({"a": (np.uint8, [1, 4, 5, 5])}, ["y"]), ON_THE_DEVICE)


@pytest.mark.parametrize("extent", [33, 112])
@pytest.mark.parametrize("operator", ["ReduceSum", "ReduceMean"])
def test_sums_over_large_maps(operator: str, extent: int) -> None:
    case = Case(a=(2, extent, extent + 1))
    case.check(_reduce(case, operator, [2, 3], 0), scale=20.0 if operator == "ReduceSum" else 0.03)


def test_global_max_pool_over_a_large_map() -> None:
    case = Case(a=(3, 61, 112))
    pooled = case.node("GlobalMaxPool", [case.real["a"]])
    case.check(case.node("Sigmoid", [pooled]), scale=1 / 255, zero=0, most=0)
