"""SSD300's side of the host: anchors, decoding of boxes, selection, non-maximum suppression."""

from arrayloom.host.models.networks.ssd.anchors import anchors
from arrayloom.host.models.networks.ssd.boxes import clip_bboxes, decode_bboxes, iou, suppress_bboxes
from arrayloom.host.models.networks.ssd.detect import VOC_CLASSES, Detections, postprocess, select_bboxes
from arrayloom.host.models.networks.ssd.maps import OUTPUTS, by_position

__all__ = [
    "OUTPUTS",
    "VOC_CLASSES",
    "Detections",
    "anchors",
    "by_position",
    "clip_bboxes",
    "decode_bboxes",
    "iou",
    "postprocess",
    "select_bboxes",
    "suppress_bboxes",
]
