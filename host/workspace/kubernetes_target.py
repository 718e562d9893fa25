"""Where and how a service is deployed to a Kubernetes cluster."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.host.workspace.service_configuration import LocalWebservice, ServiceConfiguration


@dataclass(frozen=True)
class KubernetesTarget:
    """A cluster, identified as in ``kubectl``.

    Parameters
    ----------
    context : str | None
        A context of the kubeconfig; None: its current one.
    namespace : str | None
        None: the context's, or ``default``.
    registry : str | None
        The registry from which the cluster pulls images, such as ``registry.example/team``; None for images loaded on its
        nodes. The image must already be there: copy the archive of ``Image.save`` with ``skopeo copy`` or ``docker push``.
    kubeconfig : Path | None
        None: the file in ``KUBECONFIG``, or ``~/.kube/config``.
    """

    context: str | None = None
    namespace: str | None = None
    registry: str | None = None
    kubeconfig: Path | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"kubeconfig": None if self.kubeconfig is None else str(self.kubeconfig.resolve())}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> KubernetesTarget:
        kubeconfig = value["kubeconfig"]
        return cls(**value | {"kubeconfig": None if kubeconfig is None else Path(kubeconfig)})

    def __str__(self) -> str:
        return f"cluster {self.context}" if self.context else "the current cluster"


@dataclass(frozen=True)
class KubernetesServiceConfiguration:
    """How many pods, what each asks for, and how it is secured; made by ``KubernetesWebservice.deploy_configuration``."""

    auth_enabled: bool = True
    replicas: int = 1
    max_replicas: int | None = None
    queue_target: int = 4
    tls_secret: str | None = None
    cpu: str = "1"
    memory: str = "1Gi"

    @property
    def tls(self) -> bool:
        return self.tls_secret is not None

    @property
    def settings(self) -> Settings:
        """The settings of each server; none refers to files on this machine."""
        return Settings()


class KubernetesWebservice:
    """Services in a cluster."""

    @staticmethod
    def deploy_configuration(auth_enabled: bool = True, replicas: int = 1, max_replicas: int | None = None,
                             queue_target: int = 4, tls_secret: str | None = None, cpu: str = "1",
                             memory: str = "1Gi") -> KubernetesServiceConfiguration:
        """How a service is deployed.

        Parameters
        ----------
        auth_enabled : bool
            Whether requests need one of the service's keys, which are stored in a separate Secret.
        replicas, max_replicas : int
            Number of pods; with ``max_replicas`` it is scaled between both by the number of waiting requests.
        queue_target : int
            Waiting requests a pod, above which pods are added.
        tls_secret : str | None
            A Secret of type ``kubernetes.io/tls`` in the cluster.
        cpu, memory : str
            Resource requests of a pod; ``memory`` is also its limit.
        """
        return KubernetesServiceConfiguration(auth_enabled, replicas, max_replicas, queue_target, tls_secret, cpu, memory)


def configuration_for_cluster(
        given: ServiceConfiguration | KubernetesServiceConfiguration | None) -> KubernetesServiceConfiguration:
    """The given configuration, or the default one; of a configuration for this machine, keys and replicas are taken over.

    Raises ``WorkspaceError`` for a setting that cannot be passed to a server in a pod.
    """
    if given is None or isinstance(given, KubernetesServiceConfiguration):
        return given or KubernetesServiceConfiguration()
    default = asdict(LocalWebservice.deploy_configuration().settings)
    changed = [name for name, value in asdict(given.settings).items() if value != default[name] and name != "replicas"]
    if changed:
        raise WorkspaceError(f"setting {changed[0]!r}: is for services on this machine; make the configuration of one in a "
                             "cluster with KubernetesWebservice.deploy_configuration")
    return KubernetesServiceConfiguration(given.auth_enabled, given.settings.replicas)
