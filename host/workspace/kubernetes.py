"""Kubernetes manifests for an image: Deployment, Service and HorizontalPodAutoscaler.

Secrets are named, never contained. Field names and API versions (apps/v1, v1, autoscaling/v2) are those of Kubernetes 1.23
and later.
"""

import re
from dataclasses import dataclass
from typing import Any

from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.host.workspace.image_build import GRPC_PORT, HTTP_PORT
from arrayloom.host.workspace.server_process import LIVE, READY

QUEUE_METRIC = "arrayloom_queue_length"
"""Name of the metric with the number of waiting requests."""
METRICS_PORT = 8502
NOBODY = 65532
GRACE_SECONDS = 60
SECRET_MODE = 0o440
TLS, KEYS = "/etc/arrayloom/tls", "/etc/arrayloom/keys"
_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_UNITS = {"": 1, "m": 1e-3, "k": 1e3, "Ki": 1 << 10, "M": 1e6, "Mi": 1 << 20, "G": 1e9, "Gi": 1 << 30}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|Ki|M|Mi|G|Gi|)")


@dataclass(frozen=True)
class KubernetesConfiguration:
    """The settings of the manifests.

    Parameters
    ----------
    name : str
        The name of all objects, and of the service for its clients.
    image : str
        The image's address for the cluster, such as ``registry.example/team/digits:1``.
    namespace : str | None
        None: the namespace in which the manifests are applied.
    replicas : int
        Number of pods; with autoscaling the minimum.
    max_replicas : int | None
        Most pods; None: no autoscaling.
    queue_target : int
        Waiting requests per pod above which pods are added.
    tls_secret : str | None
        A Secret of type ``kubernetes.io/tls``; None: no TLS.
    keys_secret : str | None
        A Secret with an entry ``keys.json``; None: no keys. Scrapers of ``/metrics`` need no key: the metrics have
        a separate port in the pod, which the Service does not expose.
    cpu, memory : str
        Resource requests of a pod, as quantities; ``memory`` is also its limit.
    threads : int | None
        Threads of the pod's replica; None: the whole cores in ``cpu``, at least one.
    pod_monitor : bool
        Whether to add a PodMonitor, so that the Prometheus Operator scrapes the pods; a Prometheus configured by annotations
        does not need it.

    Raises
    ------
    WorkspaceError
        Kubernetes does not accept a value.
    """

    name: str
    image: str
    namespace: str | None = None
    replicas: int = 1
    max_replicas: int | None = 10
    queue_target: int = 4
    tls_secret: str | None = None
    keys_secret: str | None = None
    cpu: str = "1"
    memory: str = "1Gi"
    threads: int | None = None
    pod_monitor: bool = False

    def __post_init__(self) -> None:
        for field in ("name", "namespace", "tls_secret", "keys_secret"):
            value = getattr(self, field)
            if value is not None and not _LABEL.fullmatch(value):
                raise WorkspaceError(f"{field} {value!r}: must be 1 to 63 lower-case letters, digits and '-', begin with a "
                                     "letter and end with a letter or digit")
        for field in ("cpu", "memory"):
            if not _QUANTITY.fullmatch(getattr(self, field)):
                raise WorkspaceError(f"{field} {getattr(self, field)!r}: must be a quantity such as 500m, 2 or 1Gi")
        if self.replicas < 1 or self.queue_target < 1:
            raise WorkspaceError(f"replicas {self.replicas}, queue_target {self.queue_target}: must be at least 1")
        if self.threads is not None and self.threads < 1:
            raise WorkspaceError(f"threads {self.threads}: must be at least 1")
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise WorkspaceError(f"max_replicas {self.max_replicas}: must be at least replicas, {self.replicas}")


def threads_of(config: KubernetesConfiguration) -> int:
    """The threads of a pod. It has no CPU limit, so it cannot find out from inside how many cores it may use."""
    number, unit = _QUANTITY.fullmatch(config.cpu).groups()    # type: ignore[union-attr]
    return config.threads or max(1, int(float(number) * _UNITS[unit]))


def manifests(config: KubernetesConfiguration) -> list[dict[str, Any]]:
    """The objects in the order in which they are applied."""
    objects = [_service(config), _deployment(config), *([_pod_monitor(config)] if config.pod_monitor else [])]
    return [*objects, _autoscaler(config)] if config.max_replicas is not None else objects


def to_yaml(objects: list[dict[str, Any]]) -> str:
    """The objects as YAML documents, for ``kubectl apply -f``."""
    import yaml

    return yaml.safe_dump_all(objects, sort_keys=False, explicit_start=True)


def secret_commands(config: KubernetesConfiguration) -> list[str]:
    """The commands that make the Secrets which the manifests name."""
    space = f" --namespace {config.namespace}" if config.namespace else ""
    commands = []
    if config.tls_secret:
        commands.append(f"kubectl create secret tls {config.tls_secret} --cert=CERT.pem --key=KEY.pem{space}")
    if config.keys_secret:
        commands.append(f"kubectl create secret generic {config.keys_secret} --from-file=keys.json{space}")
    return commands


def metadata(config: KubernetesConfiguration) -> dict[str, Any]:
    """Of each object."""
    space = {"namespace": config.namespace} if config.namespace else {}
    return {"name": config.name, **space, "labels": labels(config)}


def labels(config: KubernetesConfiguration) -> dict[str, str]:
    """The labels by which pods are selected."""
    return {"app.kubernetes.io/name": "arrayloom", "app.kubernetes.io/instance": config.name}


def _service(config: KubernetesConfiguration) -> dict[str, Any]:
    ports = [{"name": name, "port": port, "targetPort": name} for name, port in (("grpc", GRPC_PORT), ("http", HTTP_PORT))]
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(config),
            "spec": {"selector": labels(config), "ports": ports}}


def _deployment(config: KubernetesConfiguration) -> dict[str, Any]:
    # With an autoscaler, a number of pods here would reset the autoscaler's choice at every apply.
    replicas = {"replicas": config.replicas} if config.max_replicas is None else {}
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": str(METRICS_PORT),
              "prometheus.io/path": "/metrics", "prometheus.io/scheme": "http"}
    template = {"metadata": {"labels": labels(config), "annotations": scrape}, "spec": _pod(config)}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(config),
            "spec": {**replicas, "selector": {"matchLabels": labels(config)}, "template": template}}


def volumes(config: KubernetesConfiguration) -> list[dict[str, Any]]:
    """The container's mounts: a folder for temporary files, and the Secrets."""
    found: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    for name, secret in (("tls", config.tls_secret), ("keys", config.keys_secret)):
        if secret:
            found.append({"name": name, "secret": {"secretName": secret, "defaultMode": SECRET_MODE}})
    return found


def _pod(config: KubernetesConfiguration) -> dict[str, Any]:
    security = {"runAsNonRoot": True, "runAsUser": NOBODY, "runAsGroup": NOBODY, "fsGroup": NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"}}
    return {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": GRACE_SECONDS + 10,
            "securityContext": security, "containers": [container(config)], "volumes": volumes(config)}


def container(config: KubernetesConfiguration, name: str = "arrayloom", http_port: int = HTTP_PORT) -> dict[str, Any]:
    """The one container of a pod, with its probes."""
    options = ["--http-port", str(http_port)] if http_port != HTTP_PORT else []
    options += ["--name", config.name, "--grace", str(GRACE_SECONDS), "--metrics-port", str(METRICS_PORT),
                "--threads", str(threads_of(config))]
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]
    if config.tls_secret:
        options += ["--tls-cert", f"{TLS}/tls.crt", "--tls-key", f"{TLS}/tls.key"]
        mounts.append({"name": "tls", "mountPath": TLS, "readOnly": True})
    if config.keys_secret:
        options += ["--keys-file", f"{KEYS}/keys.json"]
        mounts.append({"name": "keys", "mountPath": KEYS, "readOnly": True})
    return {"name": name, "image": config.image, "args": options,
            "ports": [{"name": "grpc", "containerPort": GRPC_PORT}, {"name": "http", "containerPort": http_port},
                      {"name": "metrics", "containerPort": METRICS_PORT}],
            "startupProbe": {**_probe(config, LIVE, http_port), "periodSeconds": 2, "failureThreshold": 60},
            "readinessProbe": {**_probe(config, READY, http_port), "periodSeconds": 2, "timeoutSeconds": 5},
            "livenessProbe": {**_probe(config, LIVE, http_port), "periodSeconds": 10, "timeoutSeconds": 5},
            "resources": {"requests": {"cpu": config.cpu, "memory": config.memory}, "limits": {"memory": config.memory}},
            "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": mounts}


def _probe(config: KubernetesConfiguration, path: str, port: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port, "scheme": _scheme(config)}}


def _scheme(config: KubernetesConfiguration) -> str:
    return "HTTPS" if config.tls_secret else "HTTP"


def _autoscaler(config: KubernetesConfiguration) -> dict[str, Any]:
    """Scales by the queue length; the cluster needs an adapter that provides the pods' Prometheus metrics."""
    metric = {"type": "Pods", "pods": {"metric": {"name": QUEUE_METRIC},
                                       "target": {"type": "AverageValue", "averageValue": str(config.queue_target)}}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": config.name}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata(config),
            "spec": {"scaleTargetRef": target, "minReplicas": config.replicas, "maxReplicas": config.max_replicas,
                     "metrics": [metric]}}


def _pod_monitor(config: KubernetesConfiguration) -> dict[str, Any]:
    """Scrapes the pods. The series have the labels ``namespace`` and ``pod``, by which an adapter finds the autoscaler's
    metric."""
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": metadata(config),
            "spec": {"selector": {"matchLabels": labels(config)},
                     "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics", "interval": "15s"}]}}
