"""Converts outputs of detectors to boxes with classes and confidences: decoders, selection, and guessing the detector."""

from arrayloom.host.vision.detection.boxes import Candidates, Detections
from arrayloom.host.vision.detection.coco import COCO_CLASSES
from arrayloom.host.vision.detection.detectors import DETECTORS, Detector, find_boxes, guess_detector
from arrayloom.host.vision.detection.selection import MOST_BOXES, select

__all__ = [
    "COCO_CLASSES",
    "DETECTORS",
    "MOST_BOXES",
    "Candidates",
    "Detections",
    "Detector",
    "find_boxes",
    "guess_detector",
    "select",
]
