"""Quantize float networks by AMD Quark: python -m benchmarks.producers.amd_quark FLOAT_DIR OUT_DIR.

FLOAT_DIR is the output of `benchmarks.producers.float_networks`.
"""

from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from quark.onnx import ModelQuantizer, QConfig

from benchmarks.producers.of_floats import Reader, run

MODES = ("XINT8", "A8W8", "S8S8_AAWS", "U8S8_AAWS", "U8U8_AAWA")


def write(source: Path, folder: Path, reader: Reader) -> None:
    """One float network in every mode."""
    source = source.resolve()
    for mode in MODES:
        reader.rewind()
        target = (folder / f"quark_{source.stem}_{mode}.onnx").resolve()
        with TemporaryDirectory() as scratch, chdir(scratch):  # Quark leaves a file in the current folder
            ModelQuantizer(QConfig.get_default_config(mode)).quantize_model(str(source), str(target), reader)


if __name__ == "__main__":
    run(__doc__, write)
