"""Where ``arrayloom service deploy`` deploys to: this machine, or a cluster."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.serve import given_settings
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.workspace.webservice import KubernetesTarget, KubernetesWebservice, LocalWebservice

LOCAL, KUBERNETES = "local", "kubernetes"
_PODS = {"max_replicas": ("most pods with autoscaling", int, "N"),
         "queue_target": ("waiting requests per pod above which pods are added (default 4)", int, "N"),
         "tls_secret": ("Secret of type kubernetes.io/tls", str, "NAME"),
         "pod_cpu": ("CPU request of a pod (default 1)", str, "QUANTITY"),
         "pod_memory": ("memory request and limit of a pod (default 1Gi)", str, "QUANTITY")}
_PLACE = {"context": ("context of the kubeconfig (default: its current one)", str, "NAME"),
          "namespace": ("default: the context's", str, "NAME"),
          "kubeconfig": ("default: the file in KUBECONFIG, or ~/.kube/config", Path, "FILE"),
          "registry": ("registry from which the cluster pulls the image", str, "HOST/PATH")}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that ``chosen`` reads."""
    group = parser.add_argument_group("in a cluster", "--replicas is the number of pods there; other settings are for this "
                                                      "machine")
    group.add_argument("--target", choices=(LOCAL, KUBERNETES), default=LOCAL, help="where the service runs (default local)")
    for name, (text, kind, shown) in (_PLACE | _PODS).items():
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=shown, help=text)


def chosen(options: argparse.Namespace) -> tuple[Any, KubernetesTarget | None]:
    """The configuration and the target; raises ``InputError`` for options of the other target."""
    settings = given_settings(options)
    in_cluster = {name: value for name in (*_PLACE, *_PODS) if (value := getattr(options, name)) is not None}
    if options.target == LOCAL:
        if in_cluster:
            raise InputError(f"{_option(next(iter(in_cluster)))}: is for services in a cluster; add --target kubernetes, or "
                             "leave it out")
        return LocalWebservice.deploy_configuration(not options.no_auth, **settings), None
    if foreign := [name for name in settings if name != "replicas"]:
        raise InputError(f"{_option(foreign[0])}: is for services on this machine; leave it out with --target kubernetes")
    pods = {name.removeprefix("pod_"): value for name, value in in_cluster.items() if name in _PODS}
    config = KubernetesWebservice.deploy_configuration(not options.no_auth, **settings, **pods)
    return config, KubernetesTarget(**{name: value for name, value in in_cluster.items() if name in _PLACE})


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
