"""Quantize small networks in Brevitas: python -m benchmarks.producers.brevitas_qcdq OUT_DIR.

Networks of Brevitas' own layers in several modes, as QCDQ by both exporters and as QONNX; then float networks through
Brevitas' graph quantization.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from brevitas import nn as qnn
from brevitas import quant
from brevitas.export import export_onnx_qcdq, export_qonnx
from brevitas.graph.calibrate import calibration_mode
from brevitas.graph.quantize import preprocess_for_quantize, quantize
from torch import Tensor, nn

from benchmarks.producers.command import run
from benchmarks.producers.networks import build, inputs, one_by_one


class Layers(nn.Module):
    """Two convolutions, a residual block, pooling and a classifier of Brevitas' layers."""

    def __init__(
        self, acts: type, weights: type, relus: type, per_channel: bool, block: bool, bias: type | None = quant.Int32Bias
    ) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
            return qnn.QuantConv2d(
                inputs,
                outputs,
                3,
                stride,
                1,
                weight_quant=weights,
                weight_scaling_per_output_channel=per_channel,
                bias_quant=bias,
                return_quant_tensor=True,
            )

        def relu() -> nn.Module:
            return qnn.QuantReLU(act_quant=relus, return_quant_tensor=True)

        self.input = qnn.QuantIdentity(act_quant=acts, return_quant_tensor=True)
        self.first, self.first_relu = conv(3, 8, 2), relu()
        self.block = nn.Sequential(conv(8, 8), relu(), conv(8, 8)) if block else None
        self.sum_in = qnn.QuantIdentity(act_quant=acts, return_quant_tensor=True)
        self.sum_relu = relu()
        self.pool = nn.MaxPool2d(2)
        self.second, self.second_relu = conv(8, 16, 2), relu()
        self.fc = qnn.QuantLinear(16 * 64, 10, True, weight_quant=weights, bias_quant=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first_relu(self.first(self.input(x)))
        if self.block is not None:
            x = self.sum_relu(self.sum_in(self.block(x)) + self.sum_in(x))
        x = self.second_relu(self.second(self.pool(x)))
        return self.fc(x.flatten(1))


SIGNED, UNSIGNED = quant.Int8ActPerTensorFloat, quant.Uint8ActPerTensorFloat
SHIFTED, WEIGHTS = quant.ShiftedUint8ActPerTensorFloat, quant.Int8WeightPerTensorFloat

#: By TorchScript's exporter.
MODES: dict[str, Callable[[], nn.Module]] = {
    "s8": lambda: Layers(SIGNED, WEIGHTS, SIGNED, False, False),
    "s8_block": lambda: Layers(SIGNED, WEIGHTS, SIGNED, False, True),
    "s8u8": lambda: Layers(SIGNED, WEIGHTS, UNSIGNED, False, False),
    "s8u8_pc_block": lambda: Layers(SIGNED, WEIGHTS, UNSIGNED, True, True),
    "shifted": lambda: Layers(SHIFTED, WEIGHTS, UNSIGNED, True, False, None),
    "shifted_weights": lambda: Layers(SIGNED, quant.ShiftedUint8WeightPerTensorFloat, UNSIGNED, False, True, None),
}

#: By PyTorch's default exporter, for which Brevitas needs float biases.
DEFAULT_MODES: dict[str, Callable[[], nn.Module]] = {
    "s8_float_bias": lambda: Layers(SIGNED, WEIGHTS, SIGNED, False, False, None),
    "s8u8_float_bias": lambda: Layers(SIGNED, WEIGHTS, UNSIGNED, True, True, None),
    "shifted_float_bias": lambda: Layers(SHIFTED, WEIGHTS, UNSIGNED, True, False, None),
}


def calibrate(network: nn.Module, data: Iterable[tuple[Tensor, ...]]) -> nn.Module:
    """The network, after it has collected the ranges of the activations."""
    with torch.no_grad(), calibration_mode(network):
        for values in data:
            network(*values)
    return network


def from_float(network: nn.Module, data: Iterable[tuple[Tensor, ...]], example: tuple[Tensor, ...], path: Path) -> None:
    """A float network through Brevitas' graph quantization."""
    quantized = calibrate(quantize(preprocess_for_quantize(network)).eval(), data)
    export_onnx_qcdq(quantized, args=example, export_path=path, dynamo=False, opset_version=17)


def export(network: nn.Module, name: str, target: Path, default: bool) -> None:
    """As QCDQ by PyTorch's default exporter, or by TorchScript's."""
    how = {"dynamo": True, "external_data": False, "verbose": False} if default else {"dynamo": False, "opset_version": 17}
    export_onnx_qcdq(network, args=inputs(name, 1), export_path=str(target), **how)


def write(name: str, folder: Path) -> None:
    """One network through graph quantization; for MobileNetV2 those of Brevitas' own layers, too."""
    if name == "mobilenet_v2":
        for mode, make in (MODES | DEFAULT_MODES).items():
            torch.manual_seed(0)
            network = calibrate(make().eval(), one_by_one(name))
            export(network, name, folder / f"brev_{mode}.onnx", mode in DEFAULT_MODES)
            if mode == "s8":
                export_qonnx(
                    network, args=inputs(name, 1), export_path=str(folder / f"brev_{mode}_qonnx.onnx"), dynamo=False
                )
    from_float(build(name), one_by_one(name), inputs(name, 1), folder / f"brev_{name}.onnx")


if __name__ == "__main__":
    run(__doc__, write)
