"""The manifests of docs/kuberay: valid by KubeRay's strict schemas, and consistent with one another."""

import re
from pathlib import Path
from typing import Any

import crd
import jsonschema
import pytest
import yaml
from checkout import ROOT

FOLDER = ROOT / "docs" / "kuberay"
SCHEMAS = Path(__file__).parent / "kuberay"
PLURALS = {"RayCluster": "rayclusters", "RayJob": "rayjobs"}
FILES = {"RayCluster": FOLDER / "raycluster.yaml", "RayJob": FOLDER / "rayjob.yaml"}

Json = dict[str, Any]


def schema(kind: str) -> Json:
    """KubeRay's schema of that kind, version v1."""
    return crd.schema(SCHEMAS / f"ray.io_{PLURALS[kind]}.yaml.xz", kind, "v1")


def manifest(kind: str) -> Json:
    found: Json = yaml.safe_load(FILES[kind].read_text())
    return found


def cluster_of(kind: str) -> Json:
    spec: Json = manifest(kind)["spec"]
    return spec if kind == "RayCluster" else spec["rayClusterSpec"]


@pytest.fixture(scope="module", params=FILES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def validator(kind: str) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(schema(kind))


def test_manifest_is_valid(kind: str, validator: jsonschema.Draft7Validator) -> None:
    item = manifest(kind)
    assert (item["apiVersion"], item["kind"]) == ("ray.io/v1", kind)
    validator.validate(item)


@pytest.mark.parametrize("change", ["typo", "type", "missing"])
def test_schema_does_refuse(kind: str, validator: jsonschema.Draft7Validator, change: str) -> None:
    item = manifest(kind)
    spec = item["spec"] if kind == "RayCluster" else item["spec"]["rayClusterSpec"]
    container = spec["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
    if change == "typo":
        container["imagePolicy"] = "Always"
    elif change == "type":
        spec["workerGroupSpecs"][0]["replicas"] = "four"
    else:
        del spec["headGroupSpec"]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(item)


def test_all_pods_have_the_image_and_the_ray_that_is_built(kind: str) -> None:
    lines = (FOLDER / "Containerfile").read_text().splitlines()
    (base,) = (line for line in lines if line.startswith("FROM "))
    version = re.search(r"ray:([\d.]+)-py3(1[1-9])$", base)
    assert version is not None, "a Python that Arrayloom runs on"
    (built,) = (line for line in lines if "docker build" in line)
    spec = cluster_of(kind)
    assert spec["rayVersion"] == version.group(1)
    pods = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    images = {container["image"] for pod in pods for container in pod["template"]["spec"]["containers"]}
    assert images == {built.split(" -t ")[1].split()[0]}


def test_simulations_run_on_workers_alone(kind: str) -> None:
    spec = cluster_of(kind)
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (group,) = spec["workerGroupSpecs"]
    assert group["minReplicas"] >= 1      # Arrayloom refuses a cluster without a processor
    volumes = {volume["name"] for volume in group["template"]["spec"]["volumes"]}
    (container,) = group["template"]["spec"]["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_job_runs_a_command_that_there_is() -> None:
    from arrayloom.host.cli.main import build_parser

    command = manifest("RayJob")["spec"]["entrypoint"].split()
    assert command[0] == "arrayloom"
    assert build_parser().parse_args(command[1:]).ray == "auto"
