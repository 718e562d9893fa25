"""``arrayloom image``: OCI images of registered programs."""

import argparse
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from arrayloom.host.cli.artifact_commands import ArtifactCommands, Facts, add_labels, find, finish, labels, print_facts
from arrayloom.host.cli.common import print_json, require_writable
from arrayloom.host.cli.serve import OPTIONS, add_settings, given_settings
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.workspace import Model, Workspace
from arrayloom.host.workspace.image import AccelContainerImage, Image
from arrayloom.host.workspace.kserve import KServeConfiguration, kserve_manifests
from arrayloom.host.workspace.kubernetes import KubernetesConfiguration, manifests, secret_commands, to_yaml
from arrayloom.host.workspace.server_process import serve_options


def add_parser(commands: Any) -> None:
    group = ArtifactCommands(commands, Image, "build, list, show, save, run or delete container images, or write Kubernetes "
                                              "manifests for them")
    create = group.add("create", _create, "build an image from a program, without a daemon",
                       "digits digits.loom --base python-3.11-slim/ --dependencies")
    create.add_argument("name", metavar="NAME")
    create.add_argument("model", metavar="MODEL[:VERSION]")
    create.add_argument("--base", type=Path, metavar="LAYOUT", help="OCI image layout with Python, a folder or a tar")
    create.add_argument("--dependencies", action="store_true", help="include the server's Python packages")
    create.add_argument("--preprocess", metavar="NAME", help="recipe for images, to set or replace the model's")
    create.add_argument("--labels", type=Path, metavar="FILE|NAME", help="class names, likewise")
    create.add_argument("--timeout", type=float, metavar="SECONDS", help="stop building after that time")
    add_labels(create)
    group.add_list({"id": "image", "creation_state": "state", "bytes": "bytes", "created": "created", "parents": "from",
                    "image_location": "location"})
    group.add_for_one("show", lambda image, _: _facts(image) | {"dependents": list(image.dependents())},
                      "show an image's details", "digits:1")
    save = group.add_for_one("save", _save, "write an image as a tar for docker load, podman load or skopeo",
                             "digits -o digits.tar")
    save.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.tar")
    run = group.add_for_one("run", _run, "serve an image here, without a container engine, until interrupted",
                            "digits --port 50051")
    add_settings(run, OPTIONS)
    _add_manifests(group)
    group.add_delete()


def _add_manifests(group: ArtifactCommands[Image]) -> None:
    parser = group.add_for_one("manifests", _manifests, "write Kubernetes manifests for an image",
                               "digits --registry registry.example/team --replicas 3 | kubectl apply -f -")
    parser.add_argument("--registry", metavar="HOST/PATH", help="the image's address for the cluster")
    parser.add_argument("--name", metavar="NAME", help="name of the objects (default: the image's)")
    parser.add_argument("--namespace", metavar="NAME")
    parser.add_argument("--replicas", type=int, default=1, metavar="N", help="number of pods, with autoscaling the minimum "
                                                                             "(default 1)")
    parser.add_argument("--max-replicas", type=int, default=10, metavar="N", help="the most (default 10); 0: no autoscaling")
    parser.add_argument("--queue-target", type=int, default=4, metavar="N", help="waiting requests per pod that trigger "
                                                                                 "scaling (default 4)")
    parser.add_argument("--tls-secret", metavar="NAME", help="Secret of type kubernetes.io/tls")
    parser.add_argument("--keys-secret", metavar="NAME", help="Secret with an entry keys.json")
    parser.add_argument("--cpu", default="1", metavar="QUANTITY", help="CPU request of a pod (default 1)")
    parser.add_argument("--memory", default="1Gi", metavar="QUANTITY", help="memory request and limit of a pod (default "
                                                                            "1Gi)")
    parser.add_argument("--pod-monitor", action="store_true", help="add a PodMonitor for the Prometheus Operator")
    parser.add_argument("--kserve", action="store_true", help="write KServe's ServingRuntime and InferenceService instead")
    parser.add_argument("--storage-uri", metavar="URI", help="for KServe: address of a bundle's folder, instead of the "
                                                             "image's own bundle")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of a pod's replica (default: the whole cores of "
                                                                 "--cpu)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.yaml", help="default: standard output")


def _create(workspace: Workspace, options: argparse.Namespace) -> Facts:
    config = AccelContainerImage.image_configuration(**labels(options), base=options.base, dependencies=options.dependencies,
                                                     preprocess=options.preprocess, labels=options.labels)
    image = Image.create(workspace, options.name, find(Model, workspace, options.model), config)
    if image.operation:
        finish(image.operation, options.timeout, not options.json)
    return _facts(image.refresh())


def _facts(image: Image) -> dict[str, Any]:
    return image.serialize() | {"notices": image.notices}


def _save(image: Image, options: argparse.Namespace) -> Facts:
    require_writable(options.output)
    image.save(options.output)
    return {"path": str(options.output), "reference": image.reference, "digest": image.digest, "notices": image.notices}


def _run(image: Image, options: argparse.Namespace) -> Facts:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), image.run(*serve_options(given_settings(options))) as server:
        address = server.address
        print_facts(options, {"image": image.id, "grpc": f"{address.reachable}:{address.port}",
                              "http_port": address.http_port, "tls": address.tls, "pid": server.pid, "log": str(server.log)})
        sys.stdout.flush()
        while True:
            signal.pause()
    return None


def _manifests(image: Image, options: argparse.Namespace) -> Facts:
    if options.max_replicas < 0:
        raise InputError(f"--max-replicas {options.max_replicas}: must not be negative")
    place = f"{options.registry.rstrip('/')}/{image.reference}" if options.registry else image.reference
    config = KubernetesConfiguration(
        options.name or image.reference.partition(":")[0], place, options.namespace, options.replicas,
        options.max_replicas or None, options.queue_target, options.tls_secret, options.keys_secret, options.cpu,
        options.memory, options.threads, options.pod_monitor)
    if options.storage_uri is not None and not options.kserve:
        raise InputError(f"--storage-uri {options.storage_uri}: is for --kserve; Kubernetes manifests use "
                         "the image's own bundle")
    objects = kserve_manifests(KServeConfiguration(config, options.storage_uri)) if options.kserve else manifests(config)
    if options.json:
        print_json({"apiVersion": "v1", "kind": "List", "items": objects})
        return None
    text = "".join(f"# {command}\n" for command in secret_commands(config)) + to_yaml(objects)
    if options.output:
        require_writable(options.output)
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return None
