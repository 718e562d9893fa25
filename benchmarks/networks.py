"""The networks measured for the documents' figures, with an input for each."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arrayloom.host.models import digits
from arrayloom.host.runtime.errors import InputError

VARIABLE = "ARRAYLOOM_DATA"
IMAGE = 3       # index of the image in an array file
DATA = Path(__file__).parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Network:
    """``model`` and ``image`` are in the folder of networks and photographs, unless they are in the package.

    Without ``recipe`` the image is one of an array file's ``x_uint8_nhwc``, from which 128 is subtracted for the model.
    """

    key: str
    title: str
    model: Path
    image: Path
    recipe: str | None

    def files(self, data: Path, scratch: Path) -> tuple[Path, Path]:
        """Model and input file (possibly created in ``scratch``); raises ``InputError`` if one is missing."""
        model, image = data / self.model, data / self.image
        for file in (model, image):
            if not file.is_file():
                raise InputError(f"{file}: not found; give the folder of networks and photographs with --data or {VARIABLE}")
        return model, image if self.recipe else _signed(image, scratch / f"{self.key}.npy")


def _signed(source: Path, file: Path) -> Path:
    """Writes one of the images in ``source`` to ``file`` as int8 [1, 3, H, W]."""
    with np.load(source) as arrays:
        image = arrays["x_uint8_nhwc"][IMAGE]
    np.save(file, (image.transpose(2, 0, 1)[None].astype(np.int16) - 128).astype(np.int8))
    return file


NETWORKS = {network.key: network for network in (
    Network("digits", "digits (in the package)", digits.MODEL.resolve(), (digits.IMAGES / "digit_3_0705.png").resolve(),
            "digits"),
    Network("resnet20", "ResNet-20, CIFAR-10", Path("models/resnet20_cifar10_int8_qop.onnx"), Path("images/orange.png"),
            "cifar10"),
    Network("resnet8", "ResNet-8, MLPerf Tiny, int8 QDQ", Path("models/mlperf_tiny_resnet8_int8_qdq.onnx"),
            Path("cifar10_lossless_130.npz"), None),
    Network("squeezenet", "SqueezeNet 1.0", Path("models/squeezenet1.0_int8_qop.onnx"), Path("images/owl.jpg"),
            "imagenet-caffe"),
    Network("resnet18", "ResNet-18", Path("models/resnet18_int8_qop.onnx"), Path("images/owl.jpg"), "imagenet"),
    Network("resnet50", "ResNet-50 v1.5", Path("models/resnet50_int8_qop.onnx"), Path("images/snowleopardgaze.jpg"),
            "imagenet"),
)}


def data_folder(given: Path | None) -> Path:
    """``given``, else the folder in the environment variable, else the one next to the project."""
    return given or Path(os.environ.get(VARIABLE, DATA))


def chosen(pairs: Iterable[str]) -> list[tuple[Network, str]]:
    """Parses texts such as ``resnet18@16x16`` to networks with configurations; raises ``InputError``."""
    result = []
    for pair in pairs:
        key, _, config = pair.partition("@")
        if key not in NETWORKS or not config:
            raise InputError(f"{pair!r}: must be NETWORK@CONFIG; the networks are {', '.join(NETWORKS)}")
        result.append((NETWORKS[key], config))
    return result
