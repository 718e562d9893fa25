"""Quantize the small networks by NNCF: python -m benchmarks.producers.openvino_nncf OUT_DIR.

In PyTorch, exported by both exporters; and the ONNX models of PyTorch's default exporter through NNCF's ONNX backend.
"""

from pathlib import Path

import nncf
import onnx
import torch

from benchmarks.producers.command import run
from benchmarks.producers.networks import build, inputs


def write(name: str, folder: Path) -> None:
    """One network in each mode."""
    example = inputs(name, 1)
    arrays = [tuple(value[None] for value in values) for values in zip(*inputs(name, 16, seed=1), strict=True)]
    def dataset() -> nncf.Dataset:
        return nncf.Dataset(arrays, lambda values: values if len(values) > 1 else values[0])
    for mode, preset in (("performance", nncf.QuantizationPreset.PERFORMANCE), ("mixed", nncf.QuantizationPreset.MIXED)):
        quantized = nncf.quantize(build(name), dataset(), preset=preset, subset_size=16)
        stripped = nncf.strip(quantized, do_copy=True, strip_format=nncf.StripFormat.NATIVE)
        torch.onnx.export(stripped, example, folder / f"nncf_{name}_{mode}.onnx", dynamo=True, external_data=False, verbose=False)
        if mode == "mixed":
            torch.onnx.export(stripped, example, folder / f"nncf_{name}_{mode}_ts.onnx", dynamo=False, opset_version=17)
    source = folder / f"nncf_{name}_float.onnx"
    torch.onnx.export(build(name), example, source, dynamo=True, external_data=False, verbose=False)
    model = onnx.load(source)
    source.unlink()
    names = [value.name for value in model.graph.input]
    data = nncf.Dataset(arrays, lambda values: {key: value.numpy() for key, value in zip(names, values, strict=True)})
    onnx.save(nncf.quantize(model, data, subset_size=16), folder / f"nncf_{name}_onnx.onnx")


if __name__ == "__main__":
    run(__doc__, write)
