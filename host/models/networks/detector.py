"""Networks that find objects: twelve maps on the accelerator, boxes on the CPU."""

from typing import Any, NoReturn

from numpy.typing import NDArray

from arrayloom.host.models.networks.architectures import Shape
from arrayloom.host.models.networks.architectures.ssd import BOXES
from arrayloom.host.models.networks.errors import NetworkError
from arrayloom.host.models.networks.network import Floats, Network
from arrayloom.host.models.networks.ssd import Detections, anchors, by_position, postprocess, select_bboxes
from arrayloom.host.models.networks.ssd.detect import BEST


class Detector(Network):
    """SSD300 on VGG-16; 38x38 positions in the first map, or 37x37, as the network was built."""

    @property
    def output_tensor_list(self) -> list[str]:
        """Six maps of class logits, then six of boxes."""
        return [output.name for output in self.blueprint.outputs]

    @property
    def _output_shapes(self) -> list[Shape]:
        shapes = (output.shape for output in self.blueprint.outputs)
        return [(height, width, boxes, depth // boxes)
                for (depth, height, width), boxes in zip(shapes, (*BOXES, *BOXES), strict=True)]

    @property
    def anchors(self) -> list[Floats]:
        """Of each map [H, W, boxes, 4]: centre y, centre x, height, width."""
        return anchors([height for height, *_ in self._output_shapes[:len(BOXES)]])

    def featurize(self, images: NDArray[Any]) -> list[Floats]:
        """float32 [N, 300, 300, 3] to class logits [N, H, W, boxes, classes] of six maps, then boxes [N, H, W, boxes, 4]."""
        return by_position(self.engine.run(self._channels_first(images)))

    def detect(self, images: NDArray[Any], select_threshold: float = 0.5, nms_threshold: float = 0.45,
               top: int = BEST) -> list[Detections]:
        """float32 [N, 300, 300, 3] to what is seen in each image."""
        return self.postprocess(self.featurize(images), select_threshold, nms_threshold, top)

    postprocess = staticmethod(postprocess)
    select_bboxes = staticmethod(select_bboxes)

    def get_default_classifier(self, *_: NDArray[Any]) -> NoReturn:
        """Raises ``NetworkError``: there is none."""
        raise NetworkError(f"{type(self).__name__} has no classifier: its outputs hold the classes of every box; "
                           "use postprocess or detect")
