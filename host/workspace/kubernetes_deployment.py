"""A service in a cluster: creates, inspects, changes and deletes its objects."""

from __future__ import annotations

import base64
import time
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from arrayloom.host.serving.core.keys import Keys, Which
from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.host.workspace.image import Image
from arrayloom.host.workspace.image_build import GRPC_PORT, HTTP_PORT
from arrayloom.host.workspace.kubernetes import KubernetesConfiguration, manifests
from arrayloom.host.workspace.kubernetes_api import Cluster, Object
from arrayloom.host.workspace.kubernetes_target import KubernetesServiceConfiguration, KubernetesTarget
from arrayloom.host.workspace.server_process import ENDED, HEALTHY, TRANSITIONING, Address

TARGET = "kubernetes"
STOPPED = "Stopped"
POLL_SECONDS = 0.5
KEYS_FILE = "keys.json"


@dataclass(frozen=True)
class KubernetesDeployment:
    """``name``: the name of the service and of all its objects; ``image``: its address for the cluster."""

    name: str
    image: str
    target: KubernetesTarget
    configuration: KubernetesServiceConfiguration

    def to_json(self) -> dict[str, Any]:
        return {"target": TARGET, "cluster": self.target.to_json(), "image": self.image,
                "configuration": asdict(self.configuration)}

    @classmethod
    def from_json(cls, name: str, value: dict[str, Any]) -> KubernetesDeployment:
        return cls(name, value["image"], KubernetesTarget.from_json(value["cluster"]),
                   KubernetesServiceConfiguration(**value["configuration"]))

    @cached_property
    def cluster(self) -> Cluster:
        return Cluster(self.target)

    @property
    def manifests(self) -> list[Object]:
        """All objects but the keys; raises ``WorkspaceError`` for values that Kubernetes does not accept."""
        own = self.configuration
        return manifests(KubernetesConfiguration(
            self.name, self.image, self.cluster.namespace, own.replicas, own.max_replicas, own.queue_target, own.tls_secret,
            self._keys_secret if own.auth_enabled else None, own.cpu, own.memory))

    def create(self) -> None:
        """Creates all objects or none; raises ``ExistsError`` if one exists already, and ``WorkspaceError``."""
        secrets = [self._secret(Keys.generate())] if self.configuration.auth_enabled else []
        made: list[Object] = []
        try:
            for item in (*secrets, *self.manifests):
                self.cluster.create(item)
                made.append(item)
        except BaseException:
            for item in reversed(made):
                self.cluster.delete(item["kind"], item["metadata"]["name"])
            raise

    def delete(self) -> None:
        """Deletes all objects; some may already be gone."""
        for item in reversed(self.manifests):
            self.cluster.delete(item["kind"], item["metadata"]["name"])
        if self.configuration.auth_enabled:
            self.cluster.delete("Secret", self._keys_secret)

    @property
    def pods(self) -> tuple[int, int]:
        """The wanted and the ready number of pods."""
        deployment = self.cluster.read("Deployment", self.name)
        return deployment["spec"].get("replicas", 1), deployment.get("status", {}).get("availableReplicas", 0)

    @property
    def state(self) -> str:
        """The state, as in `Webservice.state`, from the cluster's status of the Deployment."""
        deployment = self.cluster.read("Deployment", self.name)
        status = deployment.get("status", {})
        wanted = deployment["spec"].get("replicas", 1)
        if wanted == 0:
            return STOPPED
        seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
        if seen and min(status.get("availableReplicas", 0), status.get("updatedReplicas", 0)) >= wanted:
            return HEALTHY
        late = any(each.get("reason") == "ProgressDeadlineExceeded" for each in status.get("conditions", ()))
        return ENDED if seen and late else TRANSITIONING

    def require_healthy(self, timeout: float) -> None:
        """Waits; raises ``WorkspaceError`` with the end of its pods' logs if it is not Healthy in time."""
        end = time.monotonic() + timeout
        while (state := self.state) != HEALTHY:
            if state == ENDED or time.monotonic() > end:
                raise WorkspaceError(f"service {self.name} is {state}, not {HEALTHY}, after {timeout:.0f} s at most; the "
                                     f"end of its pods' logs:\n{self.log(10)}")
            time.sleep(POLL_SECONDS)

    @property
    def address(self) -> Address:
        """The Service's external address if it has one, else its name inside the cluster."""
        service = self.cluster.read("Service", self.name)
        outside = service.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
        host = outside[0].get("ip") or outside[0].get("hostname") or f"{self.name}.{self.cluster.namespace}.svc"
        return Address(host, GRPC_PORT, HTTP_PORT, self.configuration.tls_secret is not None)

    def log(self, lines: int) -> str:
        return "\n".join(self.cluster.logs(f"app.kubernetes.io/instance={self.name}", lines))

    def keys(self) -> Keys:
        """Reads the keys; raises ``NotFoundError`` if the Secret is gone, ``ServeError`` if its content is invalid."""
        data = self.cluster.read("Secret", self._keys_secret).get("data", {})
        return Keys.parse(base64.b64decode(data.get(KEYS_FILE, "")), f"Secret {self._keys_secret}, {KEYS_FILE}")

    def rotate(self, which: Which) -> Keys:
        """Replaces one key; the pods use it once the cluster has updated their copy of the Secret, within about a minute."""
        keys = self.keys().regenerated(which)
        self.cluster.patch("Secret", self._keys_secret, {"data": self._secret(keys)["data"]})
        return keys

    def start(self) -> None:
        self._scale(self.configuration.replicas)

    def stop(self) -> None:
        """Ends all pods but keeps the objects; an autoscaler is suspended meanwhile."""
        self._scale(0)

    def scaled(self, replicas: int) -> KubernetesDeployment:
        """Changes the number of pods in the cluster; returns the new deployment."""
        if self.configuration.max_replicas is not None and replicas > self.configuration.max_replicas:
            raise WorkspaceError(f"replicas {replicas}: the autoscaler has {self.configuration.max_replicas} at most; give "
                                 "fewer, or delete the service and deploy it with another max_replicas")
        changed = replace(self, configuration=replace(self.configuration, replicas=replicas))
        for item in changed.manifests:      # this checks the number
            if item["kind"] == "HorizontalPodAutoscaler":
                self.cluster.patch(item["kind"], self.name, {"spec": {"minReplicas": replicas}})
        if self.configuration.max_replicas is None or self.pods[0] < replicas:
            self._scale(replicas)
        return changed

    def serving(self, image: str) -> KubernetesDeployment:
        """Changes the image in the cluster, which replaces pods one by one; returns the new deployment."""
        changed = replace(self, image=image)
        (deployment,) = (item for item in changed.manifests if item["kind"] == "Deployment")
        self.cluster.patch("Deployment", self.name, {"spec": {"template": deployment["spec"]["template"]}})
        return changed

    def facts(self) -> dict[str, Any]:
        """Details that only a service in a cluster has."""
        wanted, ready = self.pods
        return {"target": TARGET, "context": self.target.context, "namespace": self.cluster.namespace,
                "container_image": self.image, "replicas": wanted, "ready_replicas": ready}

    def _scale(self, replicas: int) -> None:
        self.cluster.patch("Deployment", self.name, {"spec": {"replicas": replicas}})

    @property
    def _keys_secret(self) -> str:
        return f"{self.name}-keys"

    def _secret(self, keys: Keys) -> Object:
        return {"apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": self._keys_secret, "namespace": self.cluster.namespace},
                "type": "Opaque", "data": {KEYS_FILE: base64.b64encode(keys.to_json()).decode()}}


def image_place(target: KubernetesTarget, image: Image) -> str:
    """The image's address for the cluster."""
    return f"{target.registry.rstrip('/')}/{image.reference}" if target.registry else image.reference
