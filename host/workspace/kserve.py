"""KServe's view of an image: a ServingRuntime that runs it, and an InferenceService that uses the runtime.

Field names and API versions (serving.kserve.io/v1alpha1 and v1beta1) are those of KServe 0.10 and later.
"""

import re
from dataclasses import dataclass
from typing import Any

from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.host.workspace.image_build import COMMAND, GRPC_PORT
from arrayloom.host.workspace.kubernetes import METRICS_PORT, KubernetesConfiguration, container, labels, metadata, volumes

MODEL_FORMAT = "arrayloom"
HTTP_PORT = 8080
"""The port on which KServe expects a container to answer."""

MOUNT = "/mnt/models"
"""The folder to which KServe downloads ``storage_uri``."""

CONTAINER = "kserve-container"
_URI = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"']+")


@dataclass(frozen=True)
class KServeConfiguration:
    """The objects' settings in addition to those of all manifests.

    Parameters
    ----------
    pods : KubernetesConfiguration
        Names, image, replicas, keys and resources; TLS is left to KServe.
    storage_uri : str | None
        The address of a bundle's folder for KServe, such as ``s3://bucket/digits`` or ``pvc://claim/digits``; None: the
        image's own bundle.

    Raises
    ------
    WorkspaceError
        KServe does not accept a value.
    """

    pods: KubernetesConfiguration
    storage_uri: str | None = None

    def __post_init__(self) -> None:
        if self.pods.tls_secret is not None:
            raise WorkspaceError(f"tls_secret {self.pods.tls_secret!r}: KServe ends TLS at its own gateway; leave it out")
        if self.storage_uri is not None and not _URI.fullmatch(self.storage_uri):
            raise WorkspaceError(f"storage_uri {self.storage_uri!r}: must be an address such as s3://bucket/digits or "
                                 "pvc://claim/digits")


def kserve_manifests(config: KServeConfiguration) -> list[dict[str, Any]]:
    """The objects in the order in which they are applied."""
    return [_runtime(config), _service(config)]


def _runtime(config: KServeConfiguration) -> dict[str, Any]:
    pods = config.pods
    runs = container(pods, CONTAINER, HTTP_PORT)
    # Only one port: KServe's gateway routes to one, and gRPC would need another protocol name there.
    runs["ports"] = [{"name": "http1", "containerPort": HTTP_PORT, "protocol": "TCP"}]
    del runs["startupProbe"]        # Knative does not accept it
    if config.storage_uri is not None:
        runs["command"] = [*COMMAND[:COMMAND.index("serve") + 1], MOUNT, "--host", "0.0.0.0", "--port", str(GRPC_PORT)]
    spec = {"supportedModelFormats": [{"name": MODEL_FORMAT, "version": "1", "autoSelect": True}],
            "protocolVersions": ["v1", "v2"], "containers": [runs], "volumes": volumes(pods),
            "annotations": {"prometheus.kserve.io/port": str(METRICS_PORT), "prometheus.kserve.io/path": "/metrics"},
            "labels": labels(pods)}
    return {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "ServingRuntime", "metadata": metadata(pods), "spec": spec}


def _service(config: KServeConfiguration) -> dict[str, Any]:
    pods = config.pods
    stored = {"storageUri": config.storage_uri} if config.storage_uri is not None else {}
    model = {"modelFormat": {"name": MODEL_FORMAT, "version": "1"}, "runtime": pods.name, "protocolVersion": "v2", **stored}
    most = {"maxReplicas": pods.max_replicas} if pods.max_replicas is not None else {}
    return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata(pods),
            "spec": {"predictor": {"minReplicas": pods.replicas, **most, "model": model}}}
