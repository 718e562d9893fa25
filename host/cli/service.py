"""``arrayloom service``: images served on this machine, or in a cluster."""

import argparse
from typing import Any

from arrayloom.host.cli import service_targets
from arrayloom.host.cli.artifact_commands import ArtifactCommands, Facts, add_labels, find, labels
from arrayloom.host.cli.bar import waiting
from arrayloom.host.cli.serve import OPTIONS, add_settings
from arrayloom.host.serving.core.keys import Which
from arrayloom.host.workspace import Workspace
from arrayloom.host.workspace.image import Image
from arrayloom.host.workspace.webservice import OWNED, Webservice


def add_parser(commands: Any) -> None:
    group = ArtifactCommands(commands, Webservice,
                             "deploy, list, show, update, stop, start or delete services, their logs and keys", "NAME")
    deploy = group.add("deploy", _deploy, "serve an image in a separate process", "digits digits:1 --replicas 2")
    deploy.add_argument("service", metavar="NAME")
    deploy.add_argument("image", metavar="IMAGE[:VERSION]")
    deploy.add_argument("--no-auth", action="store_true", help="accept requests without a key")
    deploy.add_argument("--no-wait", action="store_true", help="return before the service is ready")
    add_labels(deploy)
    add_settings(deploy, [name for name in OPTIONS if name not in OWNED])
    service_targets.add_options(deploy)
    group.add_list({"id": "service", "state": "state", "grpc": "gRPC", "http": "HTTP", "image": "image",
                    "auth_enabled": "keys"})
    group.add_for_one("show", lambda service, _: service.serialize(), "show a service's details", "digits")
    group.add_for_one("start", _start, "start a service's server again", "digits")
    group.add_for_one("stop", _stop, "stop a service's server but keep the service", "digits")
    logs = group.add_for_one("logs", _logs, "print the end of a service's log", "digits --lines 20")
    logs.add_argument("--lines", type=int, default=50, metavar="N", help="default 50")
    update = group.add_for_one("update", _update, "serve another image under the same address and keys", "digits digits:2")
    update.add_argument("image", metavar="IMAGE[:VERSION]", nargs="?")
    update.add_argument("--replicas", type=int, metavar="N", help="new number of pods, for a service in a cluster")
    keys = group.add_for_one("keys", _keys, "print a service's keys, or replace one", "digits")
    keys.add_argument("--regenerate", choices=tuple(Which), help="the key to replace; the others stay valid")
    group.add_delete()


def _deploy(workspace: Workspace, options: argparse.Namespace) -> Facts:
    config, target = service_targets.chosen(options)
    image = find(Image, workspace, options.image)
    with waiting(f"unpacking {image.id} and starting its server", options.json):
        service = Webservice.deploy_from_image(workspace, options.service, image, config, **labels(options),
                                               deployment_target=target)
    return service.serialize() if options.no_wait else _ready(service, options)


def _start(service: Webservice, options: argparse.Namespace) -> Facts:
    service.start()
    return _ready(service, options)


def _stop(service: Webservice, _: argparse.Namespace) -> Facts:
    service.stop()
    return service.serialize()


def _update(service: Webservice, options: argparse.Namespace) -> Facts:
    image = find(Image, service.workspace, options.image) if options.image else None
    with waiting("updating it", options.json):
        service.update(image, options.replicas)
    return _ready(service, options)


def _logs(service: Webservice, options: argparse.Namespace) -> Facts:
    text = service.get_logs(options.lines)
    if options.json:
        return {"log": text.splitlines()}
    print(text)
    return None


def _keys(service: Webservice, options: argparse.Namespace) -> Facts:
    keys = service.regen_key(options.regenerate) if options.regenerate else service.get_keys()
    admin = service.get_admin_key()
    return dict(zip(("primary", "secondary"), keys, strict=True)) | ({"admin": admin} if admin else {})


def _ready(service: Webservice, options: argparse.Namespace) -> Facts:
    with waiting(f"service {service.name}: waiting until a device holds its model", options.json):
        service.wait_for_deployment()
    return service.serialize()
