"""A Kubernetes API server on the loopback: it stores objects that the public schemas allow, and no others.

Tests do the work of a real cluster's controllers: ``status`` of a Deployment, pods and their logs.
"""

import copy
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml

VERSION = "1.34"
KINDS = {("api/v1", "services"): "Service", ("api/v1", "secrets"): "Secret", ("apis/apps/v1", "deployments"): "Deployment",
         ("apis/autoscaling/v2", "horizontalpodautoscalers"): "HorizontalPodAutoscaler"}
PATH = re.compile(r"/(api/v1|apis/[a-z]+/v[0-9]+)/namespaces/([a-z0-9-]+)/([a-z]+)(?:/([a-z0-9.-]+))?(/log)?")
TOKEN = "token-of-the-test"
Object = dict[str, Any]
Key = tuple[str, str, str]


class RefusalError(Exception):
    """An error answer of kind Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


class KubeApi:
    """``objects`` by namespace, kind and name; ``pods``: logs by namespace and name; ``refused``: kinds not permitted."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.pods: dict[tuple[str, str], str] = {}
        self.refused: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                api.requests.append((self.command, self.path))
                try:
                    if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                        raise RefusalError(401, "Unauthorized", "Unauthorized")
                    code, content = api.handle(self.command, self.path, body)
                except RefusalError as refusal:
                    code, content = refusal.code, {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                                                   "message": str(refusal), "reason": refusal.reason, "code": refusal.code}
                data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(code)
                self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = answer     # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, path: Path, namespace: str | None = None) -> Path:
        """A kubeconfig whose context ``test`` leads to this server; the token of context ``wrong`` is refused."""
        cluster = {"server": f"http://127.0.0.1:{self._server.server_address[1]}"}
        place = {"namespace": namespace} if namespace else {}
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "wrong",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "me", "user": {"token": TOKEN}}, {"name": "other", "user": {"token": "another"}}],
            "contexts": [{"name": "test", "context": {"cluster": "here", "user": "me", **place}},
                         {"name": "wrong", "context": {"cluster": "here", "user": "other"}}]}))
        return path

    def kinds(self, namespace: str = "default") -> dict[str, str]:
        """The names of the existing objects, by kind."""
        return {kind: name for space, kind, name in sorted(self.objects) if space == namespace}

    def roll_out(self, name: str, namespace: str = "default", ready: int | None = None) -> None:
        """Simulates the controller of Deployments: all pods, or ``ready`` of them, are ready."""
        deployment = self.objects[namespace, "Deployment", name]
        count = deployment["spec"].get("replicas", 1) if ready is None else ready
        deployment["status"] = {"observedGeneration": deployment["metadata"]["generation"], "replicas": count,
                                "updatedReplicas": count, "availableReplicas": count}

    def handle(self, verb: str, path: str, body: Object | None) -> tuple[int, Object | str]:
        url = urlsplit(path)
        if not (match := PATH.fullmatch(url.path)):
            raise RefusalError(404, "NotFound", f"the server could not find the requested resource {url.path}")
        group, namespace, plural, name, log = match.groups()
        if plural == "pods":
            return self._pods(namespace, name, parse_qs(url.query), bool(log))
        if (kind := KINDS.get((group, plural))) is None:
            raise RefusalError(404, "NotFound", f"no {plural} in {group}")
        if verb == "POST":
            assert body is not None
            return 201, self._create(namespace, kind, plural, body)
        key = (namespace, kind, name)
        if key not in self.objects:
            raise RefusalError(404, "NotFound", f'{plural} "{name}" not found')
        if verb == "DELETE":
            return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"name": self.objects.pop(key)
                                                                                               ["metadata"]["name"]}}
        if verb == "PATCH":
            assert body is not None
            self.objects[key] = self._checked(kind, _merged(self.objects[key], body))
            self.objects[key]["metadata"]["generation"] += 1
        return 200, self.objects[key]

    def _create(self, namespace: str, kind: str, plural: str, body: Object) -> Object:
        name = body["metadata"]["name"]
        if kind in self.refused:
            raise RefusalError(403, "Forbidden", f'{plural} is forbidden: User "me" cannot create resource "{plural}"')
        if body["metadata"].get("namespace", namespace) != namespace:
            raise RefusalError(400, "BadRequest", "the namespace of the provided object does not match the request")
        if (namespace, kind, name) in self.objects:
            raise RefusalError(409, "AlreadyExists", f'{plural} "{name}" already exists')
        made = self._checked(kind, copy.deepcopy(body))
        made["metadata"] |= {"generation": 1, "uid": f"{len(self.requests)}"}
        if kind == "Deployment":
            made["spec"].setdefault("replicas", 1)
        self.objects[namespace, kind, name] = made
        return made

    def _checked(self, kind: str, item: Object) -> Object:
        plain = {name: value for name, value in item.items() if name != "status"}
        try:
            kubernetes_validate.validate(plain, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            raise RefusalError(422, "Invalid", f"{kind} is invalid: {error.message}") from None
        if item.get("kind") != kind:
            raise RefusalError(400, "BadRequest", f"{item.get('kind')} sent as {kind}")
        return item

    def _pods(self, namespace: str, name: str | None, query: dict[str, list[str]], log: bool) -> tuple[int, Object | str]:
        if log:
            lines = self.pods[namespace, str(name)].splitlines()
            return 200, "\n".join(lines[-int(query["tailLines"][0]):])
        instance = query["labelSelector"][0].rpartition("=")[2]
        found = [pod for space, pod in sorted(self.pods) if space == namespace and pod.startswith(f"{instance}-")]
        return 200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [
            {"metadata": {"name": pod}, "spec": {"containers": [{"name": "arrayloom"}]}} for pod in found]}


def _merged(old: Any, change: Any) -> Any:
    """A strategic merge: lists of named items are merged by name, other lists are replaced."""
    if isinstance(old, dict) and isinstance(change, dict):
        return {**old, **{name: _merged(old.get(name), value) for name, value in change.items() if value is not None}}
    if isinstance(old, list) and isinstance(change, list) and all(isinstance(each, dict) and "name" in each
                                                                  for each in (*old, *change)):
        named = {each["name"]: each for each in old}
        return [*({**named, **{each["name"]: _merged(named.get(each["name"]), each) for each in change}}).values()]
    return copy.deepcopy(change)
