"""What all network classes share: a file of the network, its names and sizes, its engine."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from arrayloom.compiler.frontend import NOTICE
from arrayloom.host.models.errors import NetworkError
from arrayloom.host.models.networks.blueprint import INPUT, Blueprint, Shape
from arrayloom.host.models.networks.build import Built, Provenance
from arrayloom.host.models.networks.engines import AcceleratorEngine, Engine, FloatEngine
from arrayloom.host.models.networks.specs import Spec
from arrayloom.host.vision import ImageSource, load_image
from arrayloom.host.vision import recipe as find_recipe
from arrayloom.isa.config import DEFAULT

Array = NDArray[Any]
Floats = NDArray[np.float32]
Dims = list[int | None]

DIGEST_SHOWN = 12


class Network(ABC):
    """A network in an ONNX file written by ``arrayloom network`` or ``save``; images are [N, H, W, 3], features
    channels-last.

    Raises ``NetworkError`` for a file of another network, and for a float file if this class is quantized,
    or vice versa.
    """

    specs: ClassVar[tuple[Spec, ...]]
    quantized: ClassVar[bool]

    def __init__(self, path: str | Path) -> None:
        source = Path(path)
        if not source.is_file():
            raise NetworkError(f"{source}: no such file; write it with arrayloom network {self.specs[0].name} -o {source}")
        self._adopt(onnx.load(source), str(source))

    @classmethod
    def of(cls, built: Built) -> Self:
        """Makes the network from the result of `build_float` or `build_quantized`."""
        network = cls.__new__(cls)
        network._adopt(built.model, f"the network given to {cls.__name__}")
        return network

    def _adopt(self, model: onnx.ModelProto, where: str) -> None:
        self.model, self.provenance = model, Provenance.read(model, where)
        matching = [spec for spec in self.specs if spec.name == self.provenance.network]
        if not matching:
            raise NetworkError(f"{where}: holds {self.provenance.network}, and {type(self).__name__} is "
                               f"{self.specs[0].name}; open it with the class of that network")
        self.spec = matching[0]
        if self.quantized != any(node.op_type == "QLinearConv" for node in model.graph.node):
            held, wanted, flag = ("float", "quantized", "leave --float out of") if self.quantized else (
                "quantized", "float", "add --float to")
            raise NetworkError(f"{where}: holds the {held} network, and {type(self).__name__} is the {wanted} one; "
                               f"{flag} arrayloom network")

    @abstractmethod
    def _engine(self) -> Engine: ...

    @cached_property
    def engine(self) -> Engine:
        return self._engine()

    @cached_property
    def blueprint(self) -> Blueprint:
        return self.spec.blueprint(self.provenance.classes)

    @property
    def version(self) -> str:
        """Where the weights came from, and the beginning of their SHA-256."""
        return f"{self.provenance.weights} ({self.provenance.digest[:DIGEST_SHOWN]})"

    @property
    def notice(self) -> str | None:
        """A warning to repeat with every result: that weights are random."""
        return self.provenance.notice

    @property
    def input_tensor_list(self) -> list[str]:
        return [INPUT]

    @property
    @abstractmethod
    def output_tensor_list(self) -> list[str]:
        """Names of the results of ``featurize``."""

    @property
    @abstractmethod
    def _output_shapes(self) -> list[Shape]:
        """Shape of each output, channels last and without the batch."""

    def get_input_dims(self, index: int = 0) -> Dims:
        """[None, height, width, 3], where None is the batch; raises ``NetworkError`` for another index than 0."""
        channels, height, width = self.blueprint.image
        return _at([(height, width, channels)], index, "input")

    def get_output_dims(self, index: int = 0) -> Dims:
        """Shape of a result of ``featurize``, None for the batch; raises ``NetworkError`` for an index beyond the
        outputs."""
        return _at(self._output_shapes, index, "output")

    def preprocess(self, images: Sequence[ImageSource]) -> Floats:
        """Preprocesses encoded images to [N, H, W, 3] with the recipe that the weights expect (default: torchvision's).

        `arrayloom.host.vision.preprocess_array` implements the rule of the re-created service.
        """
        chosen = find_recipe(self.provenance.recipe).for_input((1, *self.blueprint.image))
        tensors = np.concatenate([chosen.apply(load_image(image)) for image in images])
        return np.ascontiguousarray(tensors.transpose(0, 2, 3, 1))

    def save(self, path: str | Path) -> None:
        """The network as an ONNX file that the constructor opens."""
        onnx.save(self.model, path)

    def save_weights(self, path: str | Path) -> None:
        """Writes all parameters by name as .npz: for a float network under the names of torchvision's ``state_dict``, for a
        quantized one the int8 weights, int32 biases, scales and zero points of its ONNX file.

        SSD's scale after the normalization is written as 1, since it is folded into the following weights.
        """
        file = Path(path)
        if file.suffix != ".npz":
            raise NetworkError(f"{file}: weights are written as .npz; give a name that ends in .npz")
        arrays: dict[str, Any] = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}
        if not self.quantized:
            shapes = self.blueprint.parameters
            arrays = {name: arrays.get(name, np.ones(shape, np.float32)) for name, shape in shapes.items()}
        if self.notice:
            arrays[NOTICE] = np.array(self.notice)
        with file.open("wb") as stream:
            np.savez(stream, **arrays)

    def _channels_first(self, images: Array) -> Floats:
        wanted = self.get_input_dims()[1:]
        if images.ndim != 4 or list(images.shape[1:]) != wanted or images.dtype != np.float32 or not len(images):
            raise NetworkError(f"{type(self).__name__}: images {images.dtype} {list(images.shape)} given, float32 [N, "
                               f"{', '.join(map(str, wanted))}] wanted; preprocess and preprocess_array make them")
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))

    def close(self) -> None:
        if "engine" in self.__dict__:
            self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _at(shapes: Sequence[Shape], index: int, kind: str) -> Dims:
    if not 0 <= index < len(shapes):
        raise NetworkError(f"{kind} {index}: the network has {len(shapes)}, counted from 0")
    return [None, *shapes[index]]


class FloatNetwork(Network):
    """Computed in float32 by ONNX Runtime on the CPU."""

    quantized = False

    def _engine(self) -> Engine:
        return FloatEngine(self.model, self.blueprint)


class QuantizedNetwork(Network):
    """Computed in int8 on the accelerator; ``config`` and ``backend`` as in `arrayloom.Session`."""

    quantized = True

    def __init__(self, path: str | Path, config: str = DEFAULT, backend: str = "rtl") -> None:
        self.config, self.backend = config, backend
        super().__init__(path)

    @classmethod
    def of(cls, built: Built, config: str = DEFAULT, backend: str = "rtl") -> Self:
        network = super().of(built)
        network.config, network.backend = config, backend
        return network

    def _engine(self) -> Engine:
        return AcceleratorEngine(self.model, self.config, self.backend)
