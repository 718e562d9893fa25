"""The job of an image: base, application and dependencies become one OCI image layout."""

import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.serving import Bundle
from arrayloom.host.workspace import entries, files
from arrayloom.host.workspace.errors import DamagedError, WorkspaceError
from arrayloom.host.workspace.image_layers import (
    BUNDLE,
    HISTORY,
    LIBRARY,
    MEDIA_TYPE,
    PACKAGES,
    ROOT,
    Layer,
    application,
    dependencies,
    write_layer,
)
from arrayloom.host.workspace.image_layout import CONFIG_TYPE, INDEX_TYPE, MANIFEST_TYPE, Descriptor, Layout
from arrayloom.host.workspace.job import SUCCEEDED, Running
from arrayloom.host.workspace.model import LABELS, Model

PLATFORM = {"os": "linux", "architecture": "amd64"}
"""Bit-exactness is promised on x86-64 only."""
LAYOUT_FOLDER = "layout"
CREATED = "1970-01-01T00:00:00Z"
"""The creation time of every image, constant so that the same input gives the same digest."""
USER = "65532:65532"
"""The user ``nobody``: the server needs no privileges."""
GRPC_PORT, HTTP_PORT = 50051, 8501
COMMAND = ["python3", "-P", "-m", "arrayloom", "serve", str(BUNDLE), "--host", "0.0.0.0", "--port", str(GRPC_PORT),
           "--http-port", str(HTTP_PORT)]


@dataclass(frozen=True)
class Ingredients:
    """The input of a build: the bundle, labels of the image, the base, and whether to include dependencies.

    ``tag`` names the image within its layout; it does not affect the digest.
    """

    bundle: Bundle
    tag: str
    annotations: Mapping[str, str]
    base: Path | None
    with_dependencies: bool


def run(running: Running, request: Mapping[str, Any]) -> None:
    """Makes the bundle and the image layout, and moves both into place."""
    workspace = running.workspace
    with workspace.database.read() as connection:
        image = entries.get(connection, running.entry.details["image"])
        model = Model.of(workspace, entries.get(connection, request["model"]))
    model.verify()
    print(f"building {image.reference} from {model.entry.reference}", flush=True)
    ingredients = Ingredients(_bundle(image, model, request), str(image.version), _annotations(image),
                              _path(request["base"]), request["dependencies"])
    with workspace.staged() as scratch, workspace.staged() as place:
        manifest = build(ingredients, place / LAYOUT_FOLDER, scratch)
        size = sum(path.stat().st_size for path in (place / LAYOUT_FOLDER).rglob("*") if path.is_file())
        home = Path("images", image.name, str(image.version))
        with workspace.placed(place, home) as connection:
            entries.update(connection, image.id, path=str(home / LAYOUT_FOLDER), bytes=size, state=SUCCEEDED,
                           sha256=manifest.digest.removeprefix("sha256:"))
            running.succeed(connection, image)


def _bundle(image: entries.Entry, model: Model, request: Mapping[str, Any]) -> Bundle:
    labels = request["labels"]
    kept = model.file.with_name(LABELS)
    if labels is None and model.path.is_dir() and kept.is_file():
        labels = kept.read_text(encoding="utf-8").splitlines()
    source = {"model": model.id, "sha256": model.sha256, "properties": model.properties,
              "parents": [vars(parent) for parent in model.parents]}
    # The image's version and time are left out: the same model gives the same bytes.
    return Bundle.create(image.name, model.file, model.version, labels,
                         request["preprocess"] or model.properties.get("preprocess"), source)


def _annotations(image: entries.Entry) -> dict[str, str]:
    more = {"org.opencontainers.image.description": image.description} if image.description else {}
    return {"org.opencontainers.image.title": image.name, **more, **image.properties}


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def build(ingredients: Ingredients, folder: Path, scratch: Path) -> Descriptor:
    """Writes the image layout into the new folder ``folder``; returns the manifest's descriptor."""
    layout = Layout(folder)
    layout.create()
    (scratch / "base").mkdir()
    base = open_base(ingredients.base, scratch / "base") if ingredients.base else None
    layers = list(base.layers) if base else []
    if base:
        for layer in base.layers:
            print(f"base layer {layer.digest}, {layer.size:,} bytes", flush=True)
            layout.add_from(base.layout, layer)
    own = _own_layers(ingredients, scratch)
    config = layout.add_json(_config(ingredients, base, own), CONFIG_TYPE)
    layers += [layout.add_layer(layer, MEDIA_TYPE) for layer in own]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config.to_json(),
                "layers": [layer.to_json() for layer in layers], "annotations": dict(ingredients.annotations)}
    descriptor = layout.add_json(manifest, MANIFEST_TYPE)
    named = Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, {
        "platform": PLATFORM, "annotations": {"org.opencontainers.image.ref.name": ingredients.tag}})
    layout.write_index(named)
    print(f"image {descriptor.digest}, {len(layers)} layers, {sum(layer.size for layer in layers):,} bytes", flush=True)
    return descriptor


def _own_layers(ingredients: Ingredients, scratch: Path) -> list[Layer]:
    """Dependencies first: they change least, and a registry stores each layer once."""
    layers = []
    if ingredients.with_dependencies:
        layers.append(write_layer(dependencies(), scratch / "dependencies.tar"))
    ingredients.bundle.save(scratch / "bundle")
    layers.append(write_layer(application(scratch / "bundle"), scratch / "application.tar"))
    for layer in layers:
        print(f"layer sha256:{layer.sha256}, {layer.size:,} bytes ({layer.path.stem})", flush=True)
    return layers


def _config(ingredients: Ingredients, base: "Base | None", own: Sequence[Layer]) -> dict[str, Any]:
    """The image configuration: the base's, with our layers, command, environment and labels on top."""
    below = base.config if base else {}
    inner = dict(below.get("config", {}))
    inner |= {"Entrypoint": COMMAND, "User": USER, "WorkingDir": str(ROOT), "StopSignal": "SIGTERM",
              "ExposedPorts": {f"{GRPC_PORT}/tcp": {}, f"{HTTP_PORT}/tcp": {}},
              "Env": _environment(inner.get("Env", [])),
              "Labels": {**(inner.get("Labels") or {}), **ingredients.annotations}}
    inner.pop("Cmd", None)
    history = [*below.get("history", []), *({"created": CREATED, "created_by": f"{HISTORY} ({layer.path.stem})"}
                                            for layer in own)]
    ids = [*(base.diff_ids if base else []), *(f"sha256:{layer.sha256}" for layer in own)]
    return {"created": CREATED, **PLATFORM, "config": inner, "rootfs": {"type": "layers", "diff_ids": ids},
            "history": history}


def _environment(below: Sequence[str]) -> list[str]:
    ours = {"PYTHONPATH": f"{LIBRARY}:{PACKAGES}", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    return [item for item in below if item.partition("=")[0] not in ours] + [f"{k}={v}" for k, v in ours.items()]


@dataclass(frozen=True)
class Base:
    """A base image: its layout, configuration and layers from the bottom up."""

    layout: Layout
    config: dict[str, Any]
    layers: tuple[Descriptor, ...]

    @property
    def diff_ids(self) -> list[str]:
        return list(self.config["rootfs"]["diff_ids"])


def open_base(path: Path, scratch: Path) -> Base:
    """Reads a base; an archive is unpacked into ``scratch``.

    Raises ``WorkspaceError`` if there is no such path, or it holds no image for linux/amd64.
    """
    if path.is_dir():
        layout = Layout(path)
    elif path.is_file():
        layout = Layout(_unpack_base(path, scratch))
    else:
        raise WorkspaceError(f"base {path}: no such folder or archive; make one with: skopeo copy docker://python:3.11-slim "
                             "oci:FOLDER")
    manifest = layout.read_json(_choose_manifest(layout, layout.manifests(), path))
    config = layout.read_json(Descriptor.from_json(manifest.get("config"), str(path)))
    layers = tuple(Descriptor.from_json(entry, str(path)) for entry in manifest.get("layers", []))
    _check_base(path, manifest, config, layers)
    return Base(layout, config, layers)


def _unpack_base(path: Path, scratch: Path) -> Path:
    try:
        with tarfile.open(path) as archive:
            files.extract(archive, scratch)
    except (tarfile.TarError, OSError) as error:
        raise DamagedError(f"base {path}: cannot be unpacked: {error}; give an OCI image layout as folder or tar") from None
    return scratch


def _choose_manifest(layout: Layout, entries: list[Descriptor], path: Path) -> Descriptor:
    """The only manifest, or the one for our platform; an index may refer to another index."""
    fitting = [e for e in entries if "platform" not in e.more or PLATFORM.items() <= e.more["platform"].items()]
    if len(fitting) != 1:
        raise WorkspaceError(f"base {path}: {len(fitting)} images in it fit linux/amd64, exactly one must; copy that one "
                             "alone: "
                             "skopeo copy --override-os linux --override-arch amd64 SOURCE oci:FOLDER")
    chosen = fitting[0]
    if chosen.media_type == INDEX_TYPE:
        nested = layout.read_json(chosen).get("manifests", [])
        return _choose_manifest(layout, [Descriptor.from_json(entry, str(path)) for entry in nested], path)
    return chosen


def _check_base(path: Path, manifest: dict[str, Any], config: dict[str, Any], layers: tuple[Descriptor, ...]) -> None:
    if manifest["config"]["mediaType"] != CONFIG_TYPE or manifest.get("mediaType", MANIFEST_TYPE) != MANIFEST_TYPE:
        raise WorkspaceError(f"base {path}: holds {manifest['config']['mediaType']}, not an OCI image; convert it with: "
                             "skopeo copy --format oci SOURCE oci:FOLDER")
    if (config.get("os"), config.get("architecture")) != (PLATFORM["os"], PLATFORM["architecture"]):
        raise WorkspaceError(f"base {path}: is for {config.get('os')}/{config.get('architecture')}, and the server runs on "
                             "linux/amd64; give a base for that")
    ids = config.get("rootfs", {}).get("diff_ids")
    if not isinstance(ids, list) or len(ids) != len(layers):
        raise DamagedError(f"base {path}: its configuration does not list its {len(layers)} layers; build the base again")
