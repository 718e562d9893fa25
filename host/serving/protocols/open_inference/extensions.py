"""Triton's extensions, for gRPC and HTTP alike: a model's configuration and statistics as JSON values."""

from typing import Any

from arrayloom.host.serving.core.about import SERVER
from arrayloom.host.serving.core.repository import parse_version
from arrayloom.host.serving.core.served_model import Model, Port
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.core.statistics import Duration
from arrayloom.host.serving.protocols.open_inference.semantics import PLATFORM
from arrayloom.host.serving.protocols.open_inference.tensors import datatype
from arrayloom.host.vision.recipe_type import input_size, is_channels_last

LABELS_FILE = "labels.txt"


def config(service: Service, model: Model) -> dict[str, Any]:
    """A model's configuration, from its bundle and the service's settings."""
    facts = {"configuration": model.configuration} | ({"preprocess": model.recipe} if model.recipe else {})
    return {"name": model.name, "platform": PLATFORM, "backend": SERVER, "version_policy": {"all": {}},
            "max_batch_size": service.settings.max_batch,
            "input": [_port(port) | {"format": _format(port)} for port in model.inputs],
            "output": [_port(port) | {"label_filename": LABELS_FILE if model.labels else ""} for port in model.outputs],
            "instance_group": [{"name": model.name, "kind": "KIND_MODEL", "count": service.settings.replicas}],
            "parameters": {name: {"string_value": value} for name, value in facts.items()},
            "model_transaction_policy": {"decoupled": False}}


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "data_type": f"TYPE_{datatype(port.dtype)}", "dims": list(port.shape)}


def _format(port: Port) -> str:
    shape = (1, *port.shape)
    if input_size(shape) is None:
        return "FORMAT_NONE"
    return "FORMAT_NHWC" if is_channels_last(shape) else "FORMAT_NCHW"


def chosen(service: Service, name: str, version: str) -> list[Model]:
    """The models whose statistics are requested: one version, all versions of a name, or all models."""
    return service.repository.meant(name, parse_version(version)) if name else list(service.repository)


def statistics(service: Service, models: list[Model]) -> dict[str, Any]:
    """Statistics of the models' requests since the service started."""
    return {"model_stats": [_statistics(service, model) for model in models]}


def _statistics(service: Service, model: Model) -> dict[str, Any]:
    found = service.statistics.of(model)
    parts = {"success": found.success, "fail": found.fail, "queue": found.queue, "compute_input": found.total("preprocess"),
             "compute_infer": found.total("device"), "compute_output": found.total("rest"), "cache_hit": Duration(),
             "cache_miss": Duration()}
    batches = [{"batch_size": size, "compute_input": vars(batch.preprocess), "compute_infer": vars(batch.device),
                "compute_output": vars(batch.rest)} for size, batch in sorted(found.batches.items())]
    return {"name": model.name, "version": str(model.version), "last_inference": int(1000 * found.last_inference),
            "inference_count": found.images, "execution_count": found.success.count,
            "inference_stats": {name: vars(part) for name, part in parts.items()}, "batch_stats": batches}
