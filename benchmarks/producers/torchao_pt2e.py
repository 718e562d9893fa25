"""Quantize the small networks by torchao's PT2E: python -m benchmarks.producers.torchao_pt2e OUT_DIR."""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer.quantizer import Quantizer
from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
    X86InductorQuantizer,
    get_default_x86_inductor_quantization_config,
)
from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

from benchmarks.producers.command import run
from benchmarks.producers.networks import build, inputs, one_by_one


def xnnpack() -> Quantizer:
    """int8 activations with a zero point, int8 weights with a scale for each channel."""
    return XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))


def xnnpack_per_tensor() -> Quantizer:
    """The same with one scale for all weights of a layer."""
    return XNNPACKQuantizer().set_global(get_symmetric_quantization_config())


def x86() -> Quantizer:
    """uint8 activations before convolutions and products; sums stay in float."""
    return X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())


def export(
    network: nn.Module, example: tuple[Tensor, ...], data: Iterable[tuple[Tensor, ...]], path: Path, quantizer: Quantizer
) -> None:
    """Quantize and export a network."""
    prepared = prepare_pt2e(torch.export.export(network, example).module(), quantizer)
    with torch.no_grad():
        for values in data:
            prepared(*values)
    torch.onnx.export(convert_pt2e(prepared), example, path, dynamo=True, external_data=False, verbose=False)


def write(name: str, folder: Path) -> None:
    """One network by each quantizer."""
    for mode, quantizer in {"xnn": xnnpack_per_tensor(), "xnn_pc": xnnpack(), "x86": x86()}.items():
        export(build(name), inputs(name, 1), one_by_one(name), folder / f"pt2e_{name}_{mode}.onnx", quantizer)


if __name__ == "__main__":
    run(__doc__, write)
