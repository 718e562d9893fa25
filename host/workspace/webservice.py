"""Services: an image served by a process on this machine, or by the pods of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from arrayloom.host.serving.core.keys import Which
from arrayloom.host.workspace import entries, kubernetes_deployment
from arrayloom.host.workspace.artifact import Artifact
from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.host.workspace.image import Image
from arrayloom.host.workspace.kubernetes_deployment import STOPPED, KubernetesDeployment, image_place
from arrayloom.host.workspace.kubernetes_target import (
    KubernetesServiceConfiguration,
    KubernetesTarget,
    KubernetesWebservice,
    configuration_for_cluster,
)
from arrayloom.host.workspace.local_deployment import LocalDeployment
from arrayloom.host.workspace.registry import Registry
from arrayloom.host.workspace.server_process import ENDED, HEALTHY, START_SECONDS, Address, ServerProcess
from arrayloom.host.workspace.service_changes import (
    STARTED,
    Request,
    add_here,
    add_to_cluster,
    change_cluster,
    replace_files,
)
from arrayloom.host.workspace.service_configuration import OWNED, LocalWebservice, ServiceConfiguration

__all__ = ["OWNED", "KubernetesTarget", "KubernetesWebservice", "LocalWebservice", "ServiceConfiguration", "Webservice"]

UNKNOWN = "Unknown"
Configuration = ServiceConfiguration | KubernetesServiceConfiguration


class Webservice(Artifact):
    """``Webservice(workspace, name)``: a deployed service; ``version`` counts its updates."""

    KIND: ClassVar[str] = "service"
    _known: LocalDeployment | KubernetesDeployment | None = None

    @staticmethod
    def deploy_from_image(workspace: Registry, name: str, image: Image, deployment_config: Configuration | None = None,
                          tags: Mapping[str, str] | None = None, properties: Mapping[str, str] | None = None,
                          description: str | None = None, *,
                          deployment_target: KubernetesTarget | None = None) -> Webservice:
        """Unpacks an image and starts its server, or makes its objects in a cluster; ``wait_for_deployment`` waits for it.

        The server keeps running when this process ends; ``delete`` or ``stop`` ends it.

        Parameters
        ----------
        deployment_config : ServiceConfiguration | KubernetesServiceConfiguration | None
            Made by ``LocalWebservice.deploy_configuration``, or ``KubernetesWebservice.deploy_configuration``.
        deployment_target : KubernetesTarget | None
            The cluster; None: this machine.

        Raises
        ------
        ExistsError
            There is a service of that name, or an object of that name in the cluster; update or delete it.
        WorkspaceError
            The name is invalid, the image is not built, or the cluster rejects an object.
        """
        image.verify()
        request = Request(name, image, tags or {}, properties or {}, description or "")
        if deployment_target is not None:
            cluster = KubernetesDeployment(name, image_place(deployment_target, image), deployment_target,
                                           configuration_for_cluster(deployment_config))
            return Webservice.of(workspace, add_to_cluster(workspace, request, cluster))
        if isinstance(deployment_config, KubernetesServiceConfiguration):
            raise WorkspaceError(f"service {name}: its configuration is for a cluster; give deployment_target, too")
        config = deployment_config or LocalWebservice.deploy_configuration()
        service = Webservice.of(workspace, add_here(workspace, request, config))
        service.start()
        return service

    @property
    def deployment(self) -> LocalDeployment | KubernetesDeployment:
        """The service's deployment: where and how it runs."""
        details = self.entry.details
        wanted: LocalDeployment | KubernetesDeployment
        if details.get("target") == kubernetes_deployment.TARGET:
            wanted = KubernetesDeployment.from_json(self.name, details)
        else:
            wanted = LocalDeployment(self.name, self.path, ServiceConfiguration.from_json(details))
        if self._known != wanted:
            self._known = wanted
        assert self._known is not None
        return self._known

    @property
    def configuration(self) -> Configuration:
        return self.deployment.configuration

    @property
    def address(self) -> Address:
        """Host, gRPC and HTTP port, and whether TLS is used; raises ``WorkspaceError`` before the service has been ready."""
        address = self.deployment.address
        if address is None:
            raise WorkspaceError(f"service {self.name} has no address, it has never been ready; wait_for_deployment() waits "
                                 "for it")
        return address

    @property
    def scoring_uri(self) -> str:
        """``HOST:PORT`` of gRPC."""
        return f"{self.address.reachable}:{self.address.port}"

    @property
    def http_uri(self) -> str:
        """The root of the HTTP interfaces."""
        scheme = "https" if self.address.tls else "http"
        return f"{scheme}://{self.address.reachable}:{self.address.http_port}"

    @property
    def auth_enabled(self) -> bool:
        return self.configuration.auth_enabled

    @property
    def image(self) -> str:
        """``NAME:VERSION`` of the image that is served."""
        return self.parents[0].reference.partition(" ")[2]

    @property
    def process(self) -> ServerProcess:
        """The server on this machine; raises ``WorkspaceError`` for a service in a cluster."""
        if isinstance(self.deployment, LocalDeployment):
            return self.deployment.process
        raise WorkspaceError(f"service {self.name} runs in {self.deployment.target}, not in a process of this machine")

    @property
    def state(self) -> str:
        """Transitioning while it starts or loads a model, Healthy, Unhealthy if it does not answer.

        Failed if its process has ended by itself or was killed, Stopped if it was stopped on request.
        """
        self.refresh()
        state = self.deployment.state
        return STOPPED if state == ENDED and self.entry.state == STOPPED else state

    def wait_for_deployment(self, show_output: bool = False, timeout: float = START_SECONDS) -> None:
        """Waits until it is Healthy; raises ``WorkspaceError`` with the end of its log if it fails or takes longer."""
        self.deployment.require_healthy(timeout)
        if show_output:
            print(f"service {self.name} is {HEALTHY}: gRPC {self.scoring_uri}, HTTP {self.http_uri}", flush=True)

    def get_logs(self, num_lines: int = 5000) -> str:
        """The last lines of the server's log, one JSON object each; in a cluster those of each pod, after the pod's name."""
        return self.deployment.log(num_lines)

    def get_keys(self) -> tuple[str, str]:
        """The primary and the secondary key; raises ``WorkspaceError`` if the service uses no keys."""
        self._require_keys()
        keys = self.deployment.keys()
        return keys.primary, keys.secondary

    def get_admin_key(self) -> str | None:
        """The key that also allows loading models; None for services deployed before it existed."""
        self._require_keys()
        return self.deployment.keys().admin

    def regen_key(self, key: str) -> tuple[str, str]:
        """Replaces the ``primary``, ``secondary`` or ``admin`` key while the service runs; the others stay valid.

        Returns the primary and the secondary key.
        """
        if key not in list(Which):
            raise WorkspaceError(f"key {key!r}: unknown; there are {', '.join(Which)}")
        self._require_keys()
        keys = self.deployment.rotate(Which(key))
        return keys.primary, keys.secondary

    def start(self) -> None:
        """Starts its server again; raises ``BusyError`` if it runs."""
        self.deployment.start()
        self._record(STARTED)

    def stop(self) -> None:
        """Stops its server, which first finishes accepted requests."""
        if isinstance(self.deployment, KubernetesDeployment) or self.process.alive:
            self._record(STOPPED)
            self.deployment.stop()

    def end_process(self) -> None:
        """Called before it is deleted: ends whatever serves it."""
        if isinstance(self.deployment, KubernetesDeployment):
            self.deployment.delete()
        else:
            self.stop()

    def update(self, image: Image | None = None, replicas: int | None = None) -> None:
        """Serves another image under the same addresses and keys, or in a cluster with another number of pods; increments
        the version.

        On this machine, the old server finishes accepted requests, and connections are refused until the new one is ready. A
        cluster replaces one pod after the other.
        """
        if image is None and replicas is None:
            raise WorkspaceError(f"service {self.name}: nothing to update; give an image, or for a cluster replicas")
        if image is not None:
            image.verify()
        before, deployment = self.refresh().entry, self.deployment
        if isinstance(deployment, KubernetesDeployment):
            change_cluster(self.workspace, before, deployment, image, replicas)
            self.refresh()
            return
        if image is None or replicas is not None:
            raise WorkspaceError(f"service {self.name}: replicas of a service on this machine are a setting of its "
                                 "deployment; delete it and deploy it with replicas")
        replace_files(self.workspace, before, image, self.stop)
        self.refresh().start()

    def serialize(self) -> dict[str, Any]:
        """All of it as JSON; if the cluster cannot be reached, with the state ``Unknown`` and the reason."""
        deployment = self.refresh().deployment
        facts = super().serialize() | {
            "image": self.image, "host": None, "grpc": None, "http": None, "auth_enabled": self.auth_enabled,
            "tls": self.configuration.tls, "pid": self.process.pid if isinstance(deployment, LocalDeployment) else None}
        try:
            facts |= {"state": self.state, **deployment.facts()}
            if (address := deployment.address) is not None:
                facts |= {"host": address.host, "grpc": self.scoring_uri, "http": self.http_uri, "tls": address.tls}
        except WorkspaceError as error:
            facts |= {"state": UNKNOWN, "error": str(error)}
        return facts

    def _record(self, state: str) -> None:
        with self.workspace.database.write() as connection:
            entries.update(connection, self.entry.id, state=state)
        self.refresh()

    def _require_keys(self) -> None:
        if not self.auth_enabled:
            raise WorkspaceError(f"service {self.name} takes no keys; deploy it with auth_enabled")
