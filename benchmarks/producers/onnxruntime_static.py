"""Quantize by ONNX Runtime, in many modes: python -m benchmarks.producers.onnxruntime_static FLOAT_DIR OUT_DIR.

FLOAT_DIR is the output of `benchmarks.producers.float_networks`. Networks named by --modes are quantized in every mode,
all others in the two of `EACH`, and each as docs/producers.md recommends.
"""

import argparse
import contextlib
import io
import logging
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.producers.of_floats import Reader, inputs_of

TYPES = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8, "u16": QuantType.QUInt16, "s16": QuantType.QInt16}
FORMATS = {"qdq": QuantFormat.QDQ, "qop": QuantFormat.QOperator}


@dataclass(frozen=True)
class Mode:
    """Arguments of `quantize_static`, and what is done to the float model first."""

    form: str = "qdq"
    activations: str = "u8"
    weights: str = "s8"
    per_channel: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    exclude: str | None = None
    preprocess: bool = True
    opset: int | None = None

    def quantize(self, source: Path, target: Path, reader: Reader) -> None:
        """Write `source`, quantized, to `target`."""
        with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            prepared = source
            if self.preprocess:
                prepared = Path(folder) / "prepared.onnx"
                quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            model = onnx.load(prepared)
            if self.opset:
                model = onnx.version_converter.convert_version(model, self.opset)
            products = [node.name for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
            exclude = {None: [], "first": products[:1], "last": products[-1:], "middle": products[2:4]}[self.exclude]
            quantize_static(
                model,
                str(target),
                reader,
                quant_format=FORMATS[self.form],
                activation_type=TYPES[self.activations],
                weight_type=TYPES[self.weights],
                per_channel=self.per_channel,
                nodes_to_exclude=exclude,
                extra_options=self.options,
                **self.arguments,
            )


def recommended(source: Path, target: Path, reader: Reader) -> None:
    """The arguments recommended in docs/producers.md."""
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


#: The modes in which every network is quantized.
EACH: dict[str, Mode] = {
    "qdq_u8s8_pc": Mode(per_channel=True),
    "qop_u8s8": Mode("qop"),
}

MODES: dict[str, Mode] = {
    **EACH,
    **{
        f"{form}_{a}{w}{'_pc' if pc else ''}": Mode(form, a, w, pc)
        for form in FORMATS
        for a, w in (("u8", "u8"), ("u8", "s8"), ("s8", "s8"))
        for pc in (False, True)
    },
    "qdq_s8s8_pc_symmetric": Mode("qdq", "s8", "s8", True, options={"ActivationSymmetric": True}),
    "qop_s8s8_pc_symmetric": Mode("qop", "s8", "s8", True, options={"ActivationSymmetric": True}),
    "qdq_u8u8_asymmetric_weights": Mode("qdq", "u8", "u8", options={"WeightSymmetric": False}),
    "qdq_s8s8_asymmetric_weights": Mode("qdq", "s8", "s8", options={"WeightSymmetric": False}),
    "qdq_reduce_range": Mode(per_channel=True, arguments={"reduce_range": True}),
    "qop_reduce_range": Mode("qop", arguments={"reduce_range": True}),
    "qdq_entropy": Mode(per_channel=True, arguments={"calibrate_method": CalibrationMethod.Entropy}),
    "qdq_percentile": Mode(per_channel=True, arguments={"calibrate_method": CalibrationMethod.Percentile}),
    "qdq_conv_only": Mode(per_channel=True, arguments={"op_types_to_quantize": ["Conv"]}),
    "qdq_conv_gemm": Mode(per_channel=True, arguments={"op_types_to_quantize": ["Conv", "Gemm", "MatMul"]}),
    "qdq_conv_add": Mode(per_channel=True, arguments={"op_types_to_quantize": ["Conv", "Add", "Clip", "Relu"]}),
    "qop_conv_only": Mode("qop", arguments={"op_types_to_quantize": ["Conv"]}),
    "qop_conv_gemm": Mode("qop", arguments={"op_types_to_quantize": ["Conv", "Gemm", "MatMul"]}),
    "qdq_exclude_first": Mode(per_channel=True, exclude="first"),
    "qdq_exclude_last": Mode(per_channel=True, exclude="last"),
    "qop_exclude_last": Mode("qop", exclude="last"),
    "qop_exclude_first": Mode("qop", exclude="first"),
    "qdq_exclude_middle": Mode(per_channel=True, exclude="middle"),
    "qdq_no_preprocess": Mode(per_channel=True, preprocess=False),
    "qop_no_preprocess": Mode("qop", preprocess=False),
    "qdq_float_bias": Mode(per_channel=True, options={"QuantizeBias": False}),
    "qdq_dedicated_pairs": Mode(per_channel=True, options={"DedicatedQDQPair": True}),
    "qdq_keep_activations": Mode(per_channel=True, options={"QDQKeepRemovableActivations": True}),
    "qdq_pair_to_weight": Mode(per_channel=True, options={"AddQDQPairToWeight": True}),
    "qdq_no_input_check": Mode(per_channel=True, options={"ForceQuantizeNoInputCheck": True}),
    "qdq_constant_b_only": Mode(per_channel=True, options={"MatMulConstBOnly": True}),
    "qdq_extra_tensor_types": Mode(per_channel=True, options={"EnableSubgraph": False, "CalibMovingAverage": True}),
    "qdq_microsoft_domain": Mode(per_channel=True, options={"UseQDQContribOps": True}),
    "qdq_strided_minmax": Mode(per_channel=True, options={"CalibTensorRangeSymmetric": True}),
    "qdq_opset13": Mode(per_channel=True, opset=13),
    "qdq_opset20": Mode(per_channel=True, opset=20),
    "qdq_opset21": Mode(per_channel=True, opset=21),
    "qop_opset21": Mode("qop", opset=21),
    "qdq_opset23": Mode(per_channel=True, opset=23),
    "qdq_u16s8": Mode("qdq", "u16", "s8"),
    "qdq_s16s16": Mode("qdq", "s16", "s16"),
}


def main() -> None:
    """Quantize every network of a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("floats", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--modes", nargs="*", default=["mobilenet_v2", "mobilenet_v2_ts"], metavar="NAME")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="networks to quantize instead of all")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    for source in sorted(given.floats.glob("*.onnx")):
        if given.only and source.stem not in given.only:
            continue
        reader = Reader(onnx.load(source), inputs_of(source))
        recommended(source, given.folder / f"ort_{source.stem}.onnx", reader)
        for name, mode in (MODES if source.stem in given.modes else EACH).items():
            reader.rewind()
            try:
                mode.quantize(source, given.folder / f"ort_{source.stem}_{name}.onnx", reader)
            except Exception as error:  # any failure of the quantizer only skips the mode
                print(f"{source.stem} {name}: the quantizer refuses: {str(error).splitlines()[0][:150]}", flush=True)
        print(source.stem, flush=True)


if __name__ == "__main__":
    main()
