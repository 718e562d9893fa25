"""``arrayloom service``: images served on this machine."""

import argparse
from typing import Any

from arrayloom.host.cli.common import print_json
from arrayloom.host.cli.registry import (
    add_deletion,
    add_filters,
    add_group,
    add_labels,
    add_verb,
    filtered,
    find,
    labels,
    open_workspace,
    print_list,
    print_one,
)
from arrayloom.host.cli.serve import OPTIONS, add_settings, given_settings
from arrayloom.host.workspace.image import Image
from arrayloom.host.workspace.service_configuration import OWNED, LocalWebservice
from arrayloom.host.workspace.webservice import Webservice


def add_parser(commands: Any) -> None:
    group = add_group(commands, "service", "deploy, list, show, update, stop, start or delete services, their logs and keys")
    deploy = add_verb(group, "deploy", _deploy, "serve an image in a process of its own",
                      "arrayloom service deploy digits digits:1 --replicas 2")
    deploy.add_argument("service", metavar="NAME")
    deploy.add_argument("image", metavar="IMAGE[:VERSION]")
    deploy.add_argument("--no-auth", action="store_true", help="take requests without a key")
    deploy.add_argument("--no-wait", action="store_true", help="return before it is ready")
    add_labels(deploy)
    add_settings(deploy, [name for name in OPTIONS if name not in OWNED])
    add_filters(add_verb(group, "list", _list, "list services", "arrayloom service list"))
    for name, action, text in (("show", _show, "say all of a service"), ("start", _start, "start a service's server again"),
                               ("stop", _stop, "end a service's server and keep the service")):
        add_verb(group, name, action, text, f"arrayloom service {name} digits").add_argument("reference", metavar="NAME")
    logs = add_verb(group, "logs", _logs, "print the end of a service's log", "arrayloom service logs digits --lines 20")
    logs.add_argument("reference", metavar="NAME")
    logs.add_argument("--lines", type=int, default=50, metavar="N", help="default 50")
    update = add_verb(group, "update", _update, "serve another image under the same address and keys",
                      "arrayloom service update digits digits:2")
    update.add_argument("reference", metavar="NAME")
    update.add_argument("image", metavar="IMAGE[:VERSION]")
    keys = add_verb(group, "keys", _keys, "print a service's two keys, or replace one", "arrayloom service keys digits")
    keys.add_argument("reference", metavar="NAME")
    keys.add_argument("--regenerate", choices=("primary", "secondary"), help="the one to replace; the other stays valid")
    add_deletion(group, Webservice)


def _deploy(options: argparse.Namespace) -> int:
    workspace = open_workspace(options)
    config = LocalWebservice.deploy_configuration(not options.no_auth, **given_settings(options))
    service = Webservice.deploy_from_image(workspace, options.service, find(Image, workspace, options.image), config,
                                           labels(options.tag, "--tag"), labels(options.property, "--property"),
                                           options.description)
    return _ready(options, service, wait=not options.no_wait)


def _list(options: argparse.Namespace) -> int:
    return print_list(options, "services", filtered(Webservice, options), {
        "id": "service", "state": "state", "grpc": "gRPC", "http": "HTTP", "image": "image", "auth_enabled": "keys"})


def _show(options: argparse.Namespace) -> int:
    return print_one(options, _found(options).serialize())


def _start(options: argparse.Namespace) -> int:
    service = _found(options)
    service.start()
    return _ready(options, service)


def _stop(options: argparse.Namespace) -> int:
    service = _found(options)
    service.stop()
    return print_one(options, service.serialize())


def _update(options: argparse.Namespace) -> int:
    service = _found(options)
    service.update(find(Image, service.workspace, options.image))
    return _ready(options, service)


def _logs(options: argparse.Namespace) -> int:
    text = _found(options).get_logs(options.lines)
    if options.json:
        print_json({"log": text.splitlines()})
    else:
        print(text)
    return 0


def _keys(options: argparse.Namespace) -> int:
    service = _found(options)
    keys = service.regen_key(options.regenerate) if options.regenerate else service.get_keys()
    return print_one(options, dict(zip(("primary", "secondary"), keys, strict=True)))


def _found(options: argparse.Namespace) -> Webservice:
    return find(Webservice, open_workspace(options), options.reference)


def _ready(options: argparse.Namespace, service: Webservice, wait: bool = True) -> int:
    if wait:
        service.wait_for_deployment()
    return print_one(options, service.serialize())
