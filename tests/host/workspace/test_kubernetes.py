"""Kubernetes manifests: valid by the public schemas, consistent with the image, and without secrets."""

import itertools
from pathlib import Path

import crd
import jsonschema
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.protocols.registry import PROTOCOLS
from arrayloom.host.workspace import WorkspaceError
from arrayloom.host.workspace.image_build import COMMAND
from arrayloom.host.workspace.kubernetes import KubernetesConfiguration, manifests, secret_commands, to_yaml

SCHEMAS = Path(__file__).parent / "schemas"
VERSIONS = ("1.27", "1.31", "1.34")


@pytest.mark.parametrize(("tls", "keys", "most", "space"), list(itertools.product(
    (None, "my-tls"), (None, "my-keys"), (None, 5), (None, "team"))))
def test_manifests_are_valid(tls: str | None, keys: str | None, most: int | None, space: str | None) -> None:
    validate = pytest.importorskip("kubernetes_validate").validate
    config = KubernetesConfiguration("digits", "registry.example/digits:1", space, 2, most, 3, tls, keys)
    objects = list(yaml.safe_load_all(to_yaml(manifests(config))))
    assert objects == manifests(config)
    for item in objects:
        for version in VERSIONS:
            validate(item, version, strict=True)
        assert item["metadata"].get("namespace") == space
    assert [item["kind"] for item in objects] == ["Service", "Deployment", "HorizontalPodAutoscaler"][:3 if most else 2]


def test_the_schemas_do_refuse() -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    service, deployment, _ = manifests(KubernetesConfiguration("digits", "digits:1"))
    deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = "many"
    service["spec"]["portz"] = []
    for item in (service, deployment):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(item, VERSIONS[-1], strict=True)


def test_names_hang_together() -> None:
    service, deployment, scaler = manifests(KubernetesConfiguration("digits", "digits:1", replicas=3, max_replicas=9))
    pod = deployment["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    (container,) = pod["spec"]["containers"]
    names = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == set(names) - {"metrics"}
    command = [*COMMAND, *container["args"]]
    options = {"grpc": "--port", "http": "--http-port", "metrics": "--metrics-port"}
    assert names == {name: command[command.index(option) + 1] for name, option in options.items()}
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == names["metrics"]
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    (fixed,) = [item for item in manifests(KubernetesConfiguration("d", "d:1", replicas=3, max_replicas=None))
                if item["kind"] == "Deployment"]
    assert fixed["spec"]["replicas"] == 3


def test_probes_ask_what_answers() -> None:
    """Each probe uses the server's port, a path that needs no key, and TLS if the server has it."""
    keyless = {route.path for protocol in PROTOCOLS for route in protocol.routes if route.keyless}
    for tls in (None, "t"):
        _, deployment, *_ = manifests(KubernetesConfiguration("digits", "digits:1", tls_secret=tls, keys_secret="k"))
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container[kind]["httpGet"]
            assert probe["path"] in keyless
            assert str(probe["port"]) == COMMAND[COMMAND.index("--http-port") + 1]
            assert probe["scheme"] == ("HTTPS" if tls else "HTTP")


def test_the_autoscaler_asks_for_what_the_server_counts() -> None:
    *_, scaler = manifests(KubernetesConfiguration("digits", "digits:1", queue_target=7))
    (metric,) = scaler["spec"]["metrics"]
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "7"}
    model = Model("a", 1, Path("a"), (), (), None, None, "tiny")
    service = Service([model], Settings(), None, "", {}, "")
    names = {family.name for family in text_string_to_metric_families(service.metrics.text().decode())}
    assert metric["pods"]["metric"]["name"] in names


def test_the_prometheus_operator_finds_the_pods() -> None:
    _, deployment, monitor, _ = manifests(KubernetesConfiguration("digits", "digits:1", pod_monitor=True))
    jsonschema.validate(monitor, crd.schema(SCHEMAS / "monitoring.coreos.com_podmonitors.yaml.xz", "PodMonitor", "v1"))
    pod = deployment["spec"]["template"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}


def test_the_server_takes_the_options() -> None:
    from arrayloom.host.cli.main import build_parser

    objects = manifests(KubernetesConfiguration("digits", "digits:1", tls_secret="t", keys_secret="k"))
    arguments = objects[1]["spec"]["template"]["spec"]["containers"][0]["args"]
    parsed = build_parser().parse_args([*COMMAND[COMMAND.index("serve"):], *arguments])
    assert (parsed.keys_file, parsed.tls_key) == ("/etc/arrayloom/keys/keys.json", "/etc/arrayloom/tls/tls.key")


def test_secrets_are_named_and_made_by_the_user() -> None:
    config = KubernetesConfiguration("digits", "digits:1", "team", tls_secret="my-tls", keys_secret="my-keys")
    assert all(item["kind"] != "Secret" for item in manifests(config))
    assert secret_commands(config) == [
        "kubectl create secret tls my-tls --cert=CERT.pem --key=KEY.pem --namespace team",
        "kubectl create secret generic my-keys --from-file=keys.json --namespace team"]
    assert secret_commands(KubernetesConfiguration("digits", "digits:1")) == []


@pytest.mark.parametrize(("field", "value"), [
    ("name", "Digits"), ("name", "a" * 64), ("name", "-a"), ("namespace", "a_b"), ("tls_secret", "a b"), ("cpu", "two"),
    ("memory", "1 GB"), ("replicas", 0), ("max_replicas", 0), ("queue_target", 0)])
def test_values_that_kubernetes_does_not_take(field: str, value: object) -> None:
    with pytest.raises(WorkspaceError, match=f"{field} "):
        KubernetesConfiguration(**{"name": "digits", "image": "digits:1", field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("cpu", "threads", "wanted"), [
    ("1", None, "1"), ("500m", None, "1"), ("2500m", None, "2"), ("4", None, "4"), ("4", 3, "3")])
def test_a_pod_takes_no_more_threads_than_it_asks_cores_for(cpu: str, threads: int | None, wanted: str) -> None:
    objects = manifests(KubernetesConfiguration("digits", "digits:1", cpu=cpu, threads=threads))
    arguments = objects[1]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[arguments.index("--threads") + 1] == wanted


def test_no_threads_are_refused() -> None:
    with pytest.raises(WorkspaceError, match="threads 0: must be at least 1"):
        KubernetesConfiguration("digits", "digits:1", threads=0)
