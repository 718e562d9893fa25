"""KServe's objects: valid by KServe's strict schemas, and consistent with the image and its server."""

from pathlib import Path
from typing import Any

import crd
import jsonschema
import pytest

from arrayloom.host.cli.main import build_parser
from arrayloom.host.workspace import WorkspaceError
from arrayloom.host.workspace.image_build import COMMAND
from arrayloom.host.workspace.kserve import HTTP_PORT, MODEL_FORMAT, MOUNT, KServeConfiguration, kserve_manifests
from arrayloom.host.workspace.kubernetes import KubernetesConfiguration

SCHEMAS = Path(__file__).parent / "schemas"
KINDS = {"ServingRuntime": ("servingruntimes", "v1alpha1"), "InferenceService": ("inferenceservices", "v1beta1")}


@pytest.fixture(scope="module")
def validators() -> dict[str, jsonschema.Draft202012Validator]:
    """Created once and not checked themselves, as the schemas are large."""
    return {kind: jsonschema.Draft202012Validator(
        crd.schema(SCHEMAS / f"serving.kserve.io_{plural}.yaml.xz", kind, version))
        for kind, (plural, version) in KINDS.items()}


def _objects(storage_uri: str | None = None, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    runtime, service = kserve_manifests(KServeConfiguration(
        KubernetesConfiguration("digits", "registry.example/digits:1", **more), storage_uri))
    return runtime, service


@pytest.mark.parametrize("uri", [None, "pvc://models/digits"])
@pytest.mark.parametrize("keys", [None, "my-keys"])
def test_they_are_valid(validators: dict[str, jsonschema.Draft202012Validator], uri: str | None,
                        keys: str | None) -> None:
    for item in _objects(uri, keys_secret=keys, namespace="team", replicas=2, max_replicas=5):
        validators[item["kind"]].validate(item)
        assert item["apiVersion"] == f"serving.kserve.io/{KINDS[item['kind']][1]}"


def test_the_schemas_do_refuse(validators: dict[str, jsonschema.Draft202012Validator]) -> None:
    runtime, service = _objects()
    runtime["spec"]["containers"][0]["portz"] = []
    service["spec"]["predictor"]["model"]["modelFormat"] = "arrayloom"
    for item in (runtime, service):
        with pytest.raises(jsonschema.ValidationError):
            validators[item["kind"]].validate(item)


@pytest.mark.parametrize("uri", [None, "s3://bucket/digits"])
def test_names_and_ports_hang_together(uri: str | None) -> None:
    runtime, service = _objects(uri, keys_secret="k", replicas=2, max_replicas=4)
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"] == {"name": MODEL_FORMAT, "version": "1"}
    assert (service["spec"]["predictor"]["minReplicas"], service["spec"]["predictor"]["maxReplicas"]) == (2, 4)
    assert model.get("storageUri") == uri
    (container,) = runtime["spec"]["containers"]
    assert container["name"] == "kserve-container"
    command = [*container.get("command", COMMAND), *container["args"]]
    options = build_parser().parse_args(command[command.index("serve"):])
    assert options.bundles == [Path(MOUNT if uri else COMMAND[COMMAND.index("serve") + 1])]
    assert int(options.http_port) == HTTP_PORT == container["ports"][0]["containerPort"]
    assert container["readinessProbe"]["httpGet"]["port"] == container["livenessProbe"]["httpGet"]["port"] == HTTP_PORT
    assert options.metrics_port == runtime["spec"]["annotations"]["prometheus.kserve.io/port"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert str(options.keys_file).startswith(mounts["keys"])
    assert set(mounts) == {volume["name"] for volume in runtime["spec"]["volumes"]}


@pytest.mark.parametrize(("more", "reason"), [
    ({"tls_secret": "t"}, "KServe ends TLS"), ({"storage_uri": "bucket"}, "storage_uri 'bucket'"),
    ({"storage_uri": "s3://a b"}, "storage_uri")])
def test_what_kserve_does_not_take(more: dict[str, str], reason: str) -> None:
    with pytest.raises(WorkspaceError, match=reason):
        _objects(**more)
