"""Engines that run a network: ONNX Runtime for a float network, the accelerator for a quantized one."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from arrayloom.compiler.frontend.runtime import Session as OnnxRuntime
from arrayloom.compiler.frontend.runtime import small_model, with_outputs
from arrayloom.host.models.networks.blueprint import INPUT, Blueprint
from arrayloom.host.runtime.session import Session
from arrayloom.isa.host_steps import dequantize, quantize

Array = NDArray[Any]
Floats = NDArray[np.float32]


class Engine(Protocol):
    """Images are float32 [N, C, H, W], features [N, F]."""

    def run(self, images: Floats) -> dict[str, Floats]:
        """The network's outputs by name."""

    def features(self, images: Floats) -> Floats:
        """The value before the classifier."""

    def classify(self, features: Floats) -> Floats:
        """The classifier alone, on the CPU: logits [N, classes]."""

    def close(self) -> None:
        """Releases the device."""


class FloatEngine:
    """The float network in ONNX Runtime."""

    def __init__(self, model: onnx.ModelProto, blueprint: Blueprint) -> None:
        self._model, self._blueprint = model, blueprint

    def run(self, images: Floats) -> dict[str, Floats]:
        return self._session.run({INPUT: images})

    def features(self, images: Floats) -> Floats:
        assert self._blueprint.features is not None
        values = self._session.run({INPUT: images})[self._blueprint.features.name]
        return values.reshape(len(images), -1)

    def classify(self, features: Floats) -> Floats:
        weight, bias = (self._parameter(suffix) for suffix in ("weight", "bias"))
        return features @ weight.T + bias

    def close(self) -> None:
        """Does nothing; there is no device."""

    @cached_property
    def _session(self) -> OnnxRuntime:
        features = self._blueprint.features
        return OnnxRuntime(with_outputs(self._model, [features.name]) if features else self._model)

    def _parameter(self, suffix: str) -> Floats:
        name = f"{self._blueprint.classifier}.{suffix}"
        return next(numpy_helper.to_array(tensor) for tensor in self._model.graph.initializer if tensor.name == name)


class AcceleratorEngine:
    """The quantized network on a device, which is opened when it is first used."""

    def __init__(self, model: onnx.ModelProto, config: str, backend: str) -> None:
        self._model, self._config, self._backend = model, config, backend

    def run(self, images: Floats) -> dict[str, Floats]:
        return self.session.run({INPUT: images})

    def features(self, images: Floats) -> Floats:
        return self.session.features({INPUT: images}).values.reshape(len(images), -1)

    def classify(self, features: Floats) -> Floats:
        """The integer classifier in ONNX Runtime, whose result equals the accelerator's."""
        source, target = self._scale(self._gemm.input[1:3]), self._scale(self._gemm.input[7:9])
        integers = quantize(features, *source, np.dtype(np.uint8))
        name, result = self._gemm.input[0], self._gemm.output[0]
        model = small_model(self._model, [self._gemm], {name: (integers.dtype, integers.shape)}, self._constants, [result])
        return dequantize(OnnxRuntime(model).run({name: integers})[result], *target)

    def close(self) -> None:
        if "session" in self.__dict__:
            self.session.close()

    @cached_property
    def session(self) -> Session:
        return Session(self._model, self._config, self._backend)

    @cached_property
    def _gemm(self) -> onnx.NodeProto:
        return next(node for node in reversed(self._model.graph.node) if node.op_type == "QGemm")

    @cached_property
    def _constants(self) -> dict[str, Array]:
        used = [tensor for tensor in self._model.graph.initializer if tensor.name in self._gemm.input]
        return {tensor.name: numpy_helper.to_array(tensor) for tensor in used}

    def _scale(self, names: Sequence[str]) -> tuple[float, int]:
        scale, zero_point = (self._constants[name] for name in names)
        return float(scale), int(zero_point)
