"""Quantize float networks by NVIDIA ModelOpt: python -m benchmarks.producers.nvidia_modelopt FLOAT_DIR OUT_DIR.

FLOAT_DIR is the output of `benchmarks.producers.float_networks`.
"""

from pathlib import Path

import numpy as np
from modelopt.onnx.quantization import quantize

from benchmarks.producers.of_floats import Reader, run

MODES = ("max", "entropy")


def write(source: Path, folder: Path, reader: Reader) -> None:
    """One float network, calibrated in each way."""
    data = {name: np.ascontiguousarray(array[:4]) for name, array in reader.arrays.items()}
    for mode in MODES:
        target = str(folder / f"modelopt_{source.stem}_{mode}.onnx")
        quantize(
            str(source),
            quantize_mode="int8",
            calibration_data=data,
            calibration_method=mode,
            high_precision_dtype="fp32",
            calibration_eps=["cpu"],
            output_path=target,
        )


if __name__ == "__main__":
    run(__doc__, write)
