"""A cluster's API, by the official client: objects as dictionaries, and errors that name object and cluster."""

from __future__ import annotations

from typing import Any

from arrayloom.host.workspace.errors import ExistsError, NotFoundError, WorkspaceError
from arrayloom.host.workspace.kubernetes_target import KubernetesTarget

SECONDS = 15.0
"""Seconds for one answer of the API server."""

_KINDS = {"Service": ("CoreV1Api", "service"), "Secret": ("CoreV1Api", "secret"), "Deployment": ("AppsV1Api", "deployment"),
          "HorizontalPodAutoscaler": ("AutoscalingV2Api", "horizontal_pod_autoscaler")}
_BY_STATUS = {404: NotFoundError, 409: ExistsError}
Object = dict[str, Any]


class Cluster:
    """The objects of one namespace.

    Raises
    ------
    WorkspaceError
        The client is not installed, or the context does not exist.
    """

    def __init__(self, target: KubernetesTarget) -> None:
        try:
            import kubernetes
        except ModuleNotFoundError:
            raise WorkspaceError("a target of Kubernetes needs the package kubernetes; install it with: "
                                 "pip install '.[kubernetes]'") from None
        self._target, self._library = target, kubernetes
        file = None if target.kubeconfig is None else str(target.kubeconfig)
        try:
            contexts, active = kubernetes.config.list_kube_config_contexts(file)
            self._client = kubernetes.config.new_client_from_config(file, target.context)
        except (kubernetes.config.ConfigException, OSError, TypeError, ValueError) as error:
            raise WorkspaceError(f"{target}: {error}; kubectl config get-contexts lists the contexts") from None
        self._client.configuration.retries = 0
        chosen = next((each for each in contexts if each["name"] == target.context), active)
        self.namespace = target.namespace or chosen["context"].get("namespace") or "default"

    def create(self, item: Object) -> Object:
        """Creates an object; raises ``ExistsError`` if one of that kind and name exists."""
        return self._call("create", item["kind"], item["metadata"]["name"], namespace=self.namespace, body=item)

    def read(self, kind: str, name: str) -> Object:
        """Reads an object; raises ``NotFoundError``."""
        return self._call("read", kind, name, name=name, namespace=self.namespace)

    def patch(self, kind: str, name: str, change: Object) -> Object:
        """Merges a change into an object; raises ``NotFoundError``."""
        return self._call("patch", kind, name, name=name, namespace=self.namespace, body=change)

    def delete(self, kind: str, name: str) -> None:
        """Deletes an object; does nothing if it does not exist."""
        try:
            self._call("delete", kind, name, name=name, namespace=self.namespace)
        except NotFoundError:
            return

    def logs(self, selector: str, lines: int) -> list[str]:
        """The last lines of each pod's log, after a line with the pod's name."""
        core = self._library.client.CoreV1Api(self._client)

        def read() -> list[str]:
            found = []
            for pod in core.list_namespaced_pod(self.namespace, label_selector=selector, _request_timeout=SECONDS).items:
                # By default the client returns the ``repr`` of a bytes object instead of its content.
                answer = core.read_namespaced_pod_log(pod.metadata.name, self.namespace, tail_lines=lines,
                                                      _request_timeout=SECONDS, _preload_content=False)
                found += [f"pod {pod.metadata.name}", *answer.data.decode("utf-8", "replace").splitlines()]
            return found

        result: list[str] = self._explained(f"pods with {selector}", read)
        return result

    def _call(self, verb: str, kind: str, shown: str, **arguments: Any) -> Object:
        group, noun = _KINDS[kind]
        method = getattr(getattr(self._library.client, group)(self._client), f"{verb}_namespaced_{noun}")
        answer = self._explained(f"{kind} {shown}", lambda: method(**arguments, _request_timeout=SECONDS))
        result: Object = self._client.sanitize_for_serialization(answer)
        return result

    def _explained(self, what: str, action: Any) -> Any:
        from urllib3.exceptions import HTTPError

        place = f"{self._target}, namespace {self.namespace}: {what}"
        try:
            return action()
        except self._library.client.ApiException as error:
            raise _BY_STATUS.get(error.status, WorkspaceError)(f"{place}: {_reason(error)}") from None
        except HTTPError as error:
            raise WorkspaceError(f"{place}: the API server {self._client.configuration.host} does not answer: "
                                 f"{str(error)[:300]}") from None


def _reason(error: Any) -> str:
    """The API server's message, an object of kind Status, in one line."""
    import json

    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        message = error.reason
    return f"{' '.join(str(message).split())[:500]} ({error.status})"
