"""Counters of the outcomes of each model's requests."""

import time
from dataclasses import dataclass, field

from arrayloom.host.serving.core.served_model import Model


@dataclass
class Duration:
    """The count of an event and its total duration."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.ns += max(0, round(1e9 * seconds))


@dataclass
class BatchStatistics:
    """Statistics of one batch size: preprocessing, the device, and postprocessing."""

    preprocess: Duration = field(default_factory=Duration)
    device: Duration = field(default_factory=Duration)
    rest: Duration = field(default_factory=Duration)


@dataclass
class ModelStatistics:
    """Statistics of one model; ``last_inference`` in seconds since 1970, 0 if there was none."""

    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    batches: dict[int, BatchStatistics] = field(default_factory=dict)
    last_inference: float = 0.0

    def succeed(self, images: int, seconds: float, queue: float, preprocess: float, device: float) -> None:
        """Adds a request that was answered after ``seconds``, with the durations of its parts."""
        self.success.add(seconds)
        self.queue.add(queue)
        batch = self.batches.setdefault(images, BatchStatistics())
        batch.preprocess.add(preprocess)
        batch.device.add(device)
        batch.rest.add(seconds - queue - preprocess - device)
        self.last_inference = time.time()

    @property
    def images(self) -> int:
        return sum(count * batch.device.count for count, batch in self.batches.items())

    def total(self, part: str) -> Duration:
        """One part of ``BatchStatistics``, summed over all batch sizes."""
        parts = [getattr(batch, part) for batch in self.batches.values()]
        return Duration(sum(each.count for each in parts), sum(each.ns for each in parts))


class Statistics:
    """The statistics of all models since the start of the service."""

    def __init__(self) -> None:
        self._models: dict[str, ModelStatistics] = {}

    def of(self, model: Model) -> ModelStatistics:
        return self._models.setdefault(model.key, ModelStatistics())
