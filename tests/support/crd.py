"""Published schemas of Kubernetes custom resources, as standard JSON Schema."""

import lzma
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]


def schema(file: Path, kind: str, version: str) -> Json:
    """The schema of that kind and version from a compressed definition, without unknown fields."""
    text = lzma.decompress(file.read_bytes())
    definition = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))     # libyaml's loader, ten times as fast
    assert definition["spec"]["names"]["kind"] == kind
    (found,) = (one for one in definition["spec"]["versions"] if one["name"] == version)
    made: Json = strict(found["schema"]["openAPIV3Schema"])
    return made


def strict(node: Any) -> Any:
    """Kubernetes' dialect as standard JSON Schema: integer-or-string values, and no unlisted fields."""
    if isinstance(node, list):
        return [strict(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {name: {inner: strict(one) for inner, one in value.items()} if name == "properties" else strict(value)
            for name, value in node.items()}
    if node.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if "properties" in node and not node.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made
