"""Vectors that are spread over an image: by a row of copies where the POST unit reads at the same time."""

import numpy as np
import onnx
import pytest
from networks import Network
from small_accelerators import DEPTHWISE, TINY
from verification import assert_exact

from arrayloom.isa.config import Config
from arrayloom.isa.hazards import find_hazards
from arrayloom.isa.instructions import Convolve


def _scaled(height: int, width: int, channels: int = 6) -> onnx.ModelProto:
    """An image times one byte for each of its channels."""
    net = Network()

    def quantization(scale: float) -> list[str]:
        return [net.constant(np.float32(scale)), net.constant(np.uint8(128))]

    scaled = net.node("QLinearMul", ["x", *quantization(0.05), "s", *quantization(0.01), *quantization(0.03)])
    return net.model({"x": (np.uint8, [1, channels, height, width]), "s": (np.uint8, [1, channels, 1, 1])}, [scaled])


@pytest.mark.parametrize(("config", "height", "width", "rows", "words"), [
    (DEPTHWISE, 5, 7, 2, 0), (DEPTHWISE, 1, 7, 0, 2), (DEPTHWISE, 5, 1, 0, 2), (TINY, 5, 7, 0, 2)])
def test_what_the_array_reads(config: Config, height: int, width: int, rows: int, words: int) -> None:
    """``rows``: Convolves that read a row again and again; ``words``: such of one word, into the image itself."""
    program, _ = assert_exact(_scaled(height, width), config)
    images = [one for one in program if isinstance(one, Convolve) and (one.height, one.width) == (height, width)]
    assert sum(one.source_width > 1 for one in images) == rows
    assert len(images) == rows + words
    assert not list(find_hazards(program))
