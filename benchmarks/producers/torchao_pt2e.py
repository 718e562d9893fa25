"""Quantize the small networks by torchao's PT2E: python -m benchmarks.producers.torchao_pt2e OUT_DIR."""

from pathlib import Path

import torch
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer.quantizer import Quantizer
from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
    X86InductorQuantizer,
    get_default_x86_inductor_quantization_config,
)
from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

from benchmarks.producers.command import run
from benchmarks.producers.networks import build, inputs


def xnnpack(per_channel: bool) -> Quantizer:
    """int8 activations with a zero point, int8 weights."""
    return XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=per_channel))


def x86() -> Quantizer:
    """uint8 activations before convolutions and products; sums stay in float."""
    return X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())


def write(name: str, folder: Path) -> None:
    """One network by each quantizer."""
    example = inputs(name, 1)
    quantizers = {"xnn": xnnpack(False), "xnn_pc": xnnpack(True), "x86": x86()}
    for mode, quantizer in quantizers.items():
        # documented: torchao
        exported = torch.export.export(build(name), example).module()
        prepared = prepare_pt2e(exported, quantizer)
        with torch.no_grad():
            for values in zip(*inputs(name, 16, seed=1), strict=True):
                prepared(*(value[None] for value in values))
        converted = convert_pt2e(prepared)
        torch.onnx.export(converted, example, folder / f"pt2e_{name}_{mode}.onnx", dynamo=True, external_data=False, verbose=False)
        # end


if __name__ == "__main__":
    run(__doc__, write)
