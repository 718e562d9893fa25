"""Building an image, inside the operation's process; every line it prints stands in the build log."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arrayloom.host.serving import Bundle
from arrayloom.host.workspace import entries, operation
from arrayloom.host.workspace.conversion_job import LABELS
from arrayloom.host.workspace.image_build import Ingredients, build
from arrayloom.host.workspace.model import Model
from arrayloom.host.workspace.operation import SUCCEEDED, Operation
from arrayloom.host.workspace.worker import OvertakenError

LAYOUT = "layout"


def run(running: Operation, request: Mapping[str, Any]) -> None:
    """The bundle of the model, the layout of the image, and both into place."""
    workspace = running.workspace
    with workspace.database.read() as connection:
        image = entries.get(connection, running.entry.details["image"])
        model = Model.of(workspace, entries.get(connection, request["model"]))
    model.verify()
    print(f"building {image.reference} from {model.entry.reference}", flush=True)
    ingredients = Ingredients(_bundle(image, model, request), str(image.version), _annotations(image),
                              _path(request["base"]), request["dependencies"])
    with workspace.staged() as scratch, workspace.staged() as place:
        manifest = build(ingredients, place / LAYOUT, scratch)
        size = sum(path.stat().st_size for path in (place / LAYOUT).rglob("*") if path.is_file())
        home = Path("images", image.name, str(image.version))
        with workspace.placed(place, home) as connection:
            entries.update(connection, image.id, path=str(home / LAYOUT), bytes=size, state=SUCCEEDED,
                           sha256=manifest.digest.removeprefix("sha256:"))
            if not operation.end(connection, running.entry.id, SUCCEEDED, result=["image", image.name, image.version]):
                raise OvertakenError


def _bundle(image: entries.Entry, model: Model, request: Mapping[str, Any]) -> Bundle:
    labels = request["labels"]
    kept = model.file.with_name(LABELS)
    if labels is None and model.path.is_dir() and kept.is_file():
        labels = kept.read_text(encoding="utf-8").splitlines()
    source = {"model": model.id, "sha256": model.sha256, "properties": model.properties,
              "parents": [vars(parent) for parent in model.parents]}
    # Nothing of the image's own version or time goes in: the same model gives the same bytes.
    return Bundle.create(image.name, model.file, model.version, labels,
                         request["preprocess"] or model.properties.get("preprocess"), source)


def _annotations(image: entries.Entry) -> dict[str, str]:
    more = {"org.opencontainers.image.description": image.description} if image.description else {}
    return {"org.opencontainers.image.title": image.name, **more, **image.properties}


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
