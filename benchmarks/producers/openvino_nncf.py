"""Quantize float networks by NNCF's ONNX backend: python -m benchmarks.producers.openvino_nncf FLOAT_DIR OUT_DIR.

FLOAT_DIR is the output of `benchmarks.producers.float_networks`.
"""

from pathlib import Path

import nncf
import onnx

from benchmarks.producers.of_floats import Reader, run

#: Mixed uses int8 activations if values have both signs, and uint8 otherwise.
PRESETS = {"performance": nncf.QuantizationPreset.PERFORMANCE, "mixed": nncf.QuantizationPreset.MIXED}


def write(source: Path, folder: Path, reader: Reader) -> None:
    """One float network with each preset."""
    for mode, preset in PRESETS.items():
        reader.rewind()
        data = list(iter(reader.get_next, None))
        quantized = nncf.quantize(onnx.load(source), nncf.Dataset(data), preset=preset, subset_size=len(data))
        onnx.save(quantized, folder / f"nncf_{source.stem}_{mode}.onnx")


if __name__ == "__main__":
    run(__doc__, write)
