"""Building an image: base, application and dependencies become one OCI image layout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.serving import Bundle
from arrayloom.host.workspace.image_base import PLATFORM, Base, open_base
from arrayloom.host.workspace.image_contents import BUNDLE, LIBRARY, PACKAGES, ROOT, application, dependencies
from arrayloom.host.workspace.image_layer import MEDIA_TYPE, Layer, write_layer
from arrayloom.host.workspace.image_layout import CONFIG_TYPE, MANIFEST_TYPE, Descriptor, Layout

CREATED = "1970-01-01T00:00:00Z"
"""The same input gives the same digest, so that an image knows no other time."""
HISTORY = "arrayloom image create"
"""How the history's steps that are ours begin."""
USER = "65532:65532"
"""Nobody in particular: the server needs no rights."""
GRPC_PORT, HTTP_PORT = 50051, 8501
COMMAND = ["python3", "-P", "-m", "arrayloom", "serve", str(BUNDLE), "--host", "0.0.0.0", "--port", str(GRPC_PORT),
           "--http-port", str(HTTP_PORT)]


@dataclass(frozen=True)
class Ingredients:
    """What an image is built from: the bundle, labels of the image, the base, and whether dependencies come along.

    ``tag`` names the image within its layout, and is no part of it.
    """

    bundle: Bundle
    tag: str
    annotations: Mapping[str, str]
    base: Path | None
    with_dependencies: bool


def build(ingredients: Ingredients, folder: Path, scratch: Path) -> Descriptor:
    """Writes the image layout into ``folder``, which is new; returns the manifest's descriptor."""
    layout = Layout(folder)
    layout.create()
    (scratch / "base").mkdir()
    base = open_base(ingredients.base, scratch / "base") if ingredients.base else None
    for layer in base.layers if base else ():
        print(f"base layer {layer.digest}, {layer.size:,} bytes", flush=True)
        layout.add_from(base.layout, layer)  # type: ignore[union-attr]
    own = _own_layers(ingredients, scratch)
    config = layout.add_json(_config(ingredients, base, own), CONFIG_TYPE)
    layers = [*(base.layers if base else ()), *(layout.add_layer(layer, MEDIA_TYPE) for layer in own)]
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


def _config(ingredients: Ingredients, base: Base | None, own: Sequence[Layer]) -> dict[str, Any]:
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
