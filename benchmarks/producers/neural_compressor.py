"""Quantize float networks by onnx-neural-compressor: python -m benchmarks.producers.neural_compressor FLOAT_DIR OUT_DIR.

FLOAT_DIR is the output of `benchmarks.producers.float_networks`.
"""

from pathlib import Path

from onnx_neural_compressor.quantization import QuantFormat, QuantType, config, quantize

from benchmarks.producers.of_floats import Reader, run

MODES: dict[str, dict[str, object]] = {
    "QDQ_pc": {"quant_format": QuantFormat.QDQ, "per_channel": True},
    "QOperator": {"quant_format": QuantFormat.QOperator},
    "QOperator_pc": {"quant_format": QuantFormat.QOperator, "per_channel": True},
    "QDQ_s8s8": {"quant_format": QuantFormat.QDQ, "activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8},
}


def write(source: Path, folder: Path, reader: Reader) -> None:
    """One float network in every mode."""
    for mode, arguments in MODES.items():
        reader.rewind()
        quantize(
            str(source),
            str(folder / f"inc_{source.stem}_{mode}.onnx"),
            config.StaticQuantConfig(calibration_data_reader=reader, execution_provider="CPUExecutionProvider", **arguments),
        )


if __name__ == "__main__":
    run(__doc__, write)
