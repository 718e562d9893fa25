"""TensorFlow Serving's configuration of models: which versions in a folder are served, and their labels."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from arrayloom.host.serving.core.repository import Labels
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.errors import BundleError, Kind, ServeError, ServiceError
from arrayloom.host.serving.manifest import Manifest, check_name
from arrayloom.host.serving.protocols.tensorflow.messages import tfs

LARGEST_FILE = 1 << 20
IGNORED_PLATFORMS = ("", "tensorflow", "arrayloom")
"""Accepted values of ``model_platform``: files for TensorFlow Serving always contain it, so it must not be refused."""


@dataclass(frozen=True)
class Served:
    """The bundles' folders that a configuration names, in its order, and the labels of their versions."""

    folders: list[Path]
    labels: Labels


def read(path: Path) -> Served:
    """A ``ModelServerConfig`` in protobuf's text format; raises ``ServeError`` naming the file and the model.

    Each version of a model is a bundle in a folder of ``base_path`` named after the version. Without a policy the
    latest is served.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ServeError(f"{path}: larger than {LARGEST_FILE:,} bytes, the limit for a configuration of models")
        config = text_format.Parse(content.decode(), tfs.ModelServerConfig())
    except OSError as error:
        raise ServeError(f"{path}: cannot be read: {error.strerror}") from None
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise ServeError(f"{path}: is no ModelServerConfig in protobuf's text format: {str(error)[:300]}") from None
    models = config.model_config_list.config
    if not models:
        raise ServeError(f"{path}: names no model; it holds "
                         "model_config_list { config { name: \"M\" base_path: \"DIR\" } }")
    try:
        folders = [folder for model in models for folder in _folders(model, path.parent)]
    except (ServeError, BundleError) as error:
        raise ServeError(f"{path}: {error}") from None
    return Served(folders, _labels(models))


def relabel(service: Service, config: Any) -> None:
    """Sets the version labels from a configuration; raises ``ServiceError`` if it would change anything else.

    No path from a client is read: the models and versions are those that the service was started with.
    """
    models = config.model_config_list.config
    if not models:
        raise ServiceError(Kind.INVALID, "config: names no model; give model_config_list with version_labels")
    served: dict[str, set[str]] = {}
    for model in service.repository:
        served.setdefault(model.name, set()).add(str(model.folder.parent))
    for model in models:
        if model.name in served and model.base_path and model.base_path.rstrip("/") not in served[model.name]:
            raise ServiceError(Kind.INVALID, f"base_path of model {model.name}: only labels can be changed while the "
                                             "service runs; leave base_path out, or start the service again")
    try:
        service.repository.label(_labels(models))
    except ServeError as error:
        raise ServiceError(Kind.INVALID, str(error)) from None


def _labels(models: Iterable[Any]) -> Labels:
    return {model.name: dict(model.version_labels) for model in models}


def _folders(model: Any, place: Path) -> list[Path]:
    """The folders of the versions that the policy chooses, the latest first."""
    check_name(model.name)
    if model.model_platform not in IGNORED_PLATFORMS:
        raise ServeError(f"model {model.name}: model_platform {model.model_platform[:100]!r}: its versions are bundles; "
                         "leave it out")
    base = place / model.base_path
    try:
        versions = {int(each.name): each for each in base.iterdir() if each.name.isascii() and each.name.isdigit()}
    except OSError as error:
        raise ServeError(f"model {model.name}: base_path {model.base_path}: cannot be read: {error.strerror}") from None
    if not model.base_path or not versions:
        raise ServeError(f"model {model.name}: base_path {model.base_path!r}: holds no bundle in a folder named "
                         "after its version, such as 1")
    chosen = _chosen(model, sorted(versions, reverse=True))
    for version in chosen:
        _check_named(versions[version], model.name, version)
    return [versions[version] for version in chosen]


def _check_named(folder: Path, name: str, version: int) -> None:
    manifest = Manifest.load(folder)
    if (manifest.name, manifest.version) != (name, version):
        raise ServeError(f"model {name}: {folder} holds {manifest.name} version {manifest.version}; make the bundle with "
                         f"arrayloom bundle --name {name} --version {version}")


def _chosen(model: Any, versions: list[int]) -> list[int]:
    policy = model.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return versions
    if kind != "specific":
        return versions[:max(1, policy.latest.num_versions)]
    if missing := [version for version in policy.specific.versions if version not in versions]:
        raise ServeError(f"model {model.name}: model_version_policy names version {missing[0]}, which base_path does not "
                         f"hold; there are {', '.join(map(str, sorted(versions)))}")
    if not policy.specific.versions:
        raise ServeError(f"model {model.name}: model_version_policy names no version (specific); leave the policy out "
                         "for the latest")
    return sorted(set(policy.specific.versions), reverse=True)
