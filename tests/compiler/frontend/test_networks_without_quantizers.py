"""Whole networks without quantizers between their layers: random ones, and some in the form of other tools."""

from pathlib import Path

import numpy as np
import pytest
from exact_graph import equal_values
from qdq import to_qdq
from qdq_variants import without_pairs
from random_graphs import generate, random_inputs

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model

PERMITTED = ImportOptions(insert_rounding=True)


@pytest.mark.parametrize("first", range(1300, 1340, 10))
def test_random_networks_without_some_of_their_quantizers(first: int) -> None:
    """Every imported network equals its lowered model everywhere; most can be imported."""
    imported = 0
    for seed in range(first, first + 10):
        model = without_pairs(to_qdq(generate(seed)), seed)
        inputs = random_inputs(model, seed)
        try:
            graph = import_model(model, ImportOptions(host=HostPolicy.NONE, insert_rounding=True)).graph
        except UnsupportedError:
            continue
        imported += 1
        equal_values(graph, inputs)
    assert imported >= 7


@pytest.mark.parametrize(("name", "roundings"), [
    ("pt2e_mobilenetv2_050_x86", 10),
    ("inc_ts_mbv2_QDQ_pc", 5),
    ("modelopt_B_ssd", 4),
    ("nncf_ssd", 4),
    ("nncf_unet_convt_allu8", 0),
    ("nncf_dyn_mbv2", 0),
    ("brev_u8s8_pc_ts", 0),
])  # fmt: skip
def test_networks_as_other_tools_write_them(shared_data: Path, name: str, roundings: int) -> None:
    imported = import_model(shared_data / "exported" / "int8" / f"{name}.onnx", PERMITTED)
    assert len(imported.graph.inserted_roundings) == roundings
    (given,) = imported.graph.inputs
    image = {given.name: np.random.default_rng(0).normal(0, 1, (1, *given.shape)).astype(np.float32)}
    equal_values(imported.graph, image)
