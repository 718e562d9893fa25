"""Write every small network as float ONNX by PyTorch's exporters: python -m benchmarks.producers.float_networks OUT_DIR.

Each is exported by the default exporter (`NAME.onnx`) and by TorchScript's (`NAME_ts.onnx`), with calibration inputs next
to it (`NAME.npz`, 16 per input).
"""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch

from benchmarks.producers.arguments import chosen
from benchmarks.producers.networks import NETWORKS, build, inputs


def export_default(network: torch.nn.Module, example: tuple[torch.Tensor, ...], path: Path) -> None:
    """By PyTorch's default exporter."""
    torch.onnx.export(network, example, path, dynamo=True, external_data=False, verbose=False)


def export_torchscript(network: torch.nn.Module, example: tuple[torch.Tensor, ...], path: Path, opset: int = 17) -> None:
    """By the exporter of TorchScript, with an open batch."""
    names = [f"input{index}" for index in range(len(example))]
    torch.onnx.export(
        network,
        example,
        path,
        dynamo=False,
        opset_version=opset,
        input_names=names,
        dynamic_axes={name: {0: "batch"} for name in names},
    )


def write(name: str, folder: Path) -> None:
    """One network by both exporters, and its inputs."""
    network = build(name)
    example = inputs(name, 1)
    export_default(network, example, folder / f"{name}.onnx")
    export_torchscript(network, example, folder / f"{name}_ts.onnx")
    arrays = [value.numpy() for value in inputs(name, 16, seed=1)]
    np.savez(folder / f"{name}.npz", **{f"input{index}": array for index, array in enumerate(arrays)})


def main() -> None:
    """Write all networks, or those named by --only."""
    folder, names = chosen(__doc__, NETWORKS)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    for name in names:
        write(name, folder)
        print(name, flush=True)


if __name__ == "__main__":
    main()
