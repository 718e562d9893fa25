"""Quantize the small networks by NNCF: python -m benchmarks.producers.openvino_nncf OUT_DIR.

In PyTorch, exported by both exporters; and the ONNX models of PyTorch's default exporter through NNCF's ONNX backend.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import nncf
import onnx
import torch
from torch import Tensor, nn

from benchmarks.producers.command import run
from benchmarks.producers.networks import build, inputs, one_by_one


def dataset(data: list[tuple[Tensor, ...]]) -> nncf.Dataset:
    """The calibration as NNCF takes it."""
    return nncf.Dataset(data, lambda values: values if len(values) > 1 else values[0])


def quantize(network: nn.Module, data: list[tuple[Tensor, ...]], preset: nncf.QuantizationPreset) -> nn.Module:
    """A quantized network of plain PyTorch."""
    quantized = nncf.quantize(network, dataset(data), preset=preset, subset_size=len(data))
    return nncf.strip(quantized, strip_format=nncf.StripFormat.NATIVE, example_input=data[0])


def export(network: nn.Module, example: tuple[Tensor, ...], path: Path) -> None:
    """By PyTorch's default exporter."""
    torch.onnx.export(network, example, path, dynamo=True, external_data=False, verbose=False)


def write(name: str, folder: Path) -> None:
    """One network in each mode."""
    example, data = inputs(name, 1), one_by_one(name)
    export(
        quantize(build(name), data, nncf.QuantizationPreset.PERFORMANCE), example, folder / f"nncf_{name}_performance.onnx"
    )
    mixed = quantize(build(name), data, nncf.QuantizationPreset.MIXED)
    export(mixed, example, folder / f"nncf_{name}_mixed.onnx")
    torch.onnx.export(mixed, example, folder / f"nncf_{name}_mixed_ts.onnx", dynamo=False, opset_version=17)
    with TemporaryDirectory() as scratch:
        source = Path(scratch) / "float.onnx"
        export(build(name), example, source)
        model = onnx.load(source)
    names = [value.name for value in model.graph.input]
    arrays = nncf.Dataset(data, lambda values: {key: value.numpy() for key, value in zip(names, values, strict=True)})
    onnx.save(nncf.quantize(model, arrays, subset_size=len(data)), folder / f"nncf_{name}_onnx.onnx")


if __name__ == "__main__":
    run(__doc__, write)
