"""Schemas of custom resources of Kubernetes, as their makers publish them, in standard JSON Schema."""

import lzma
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]


def schema(file: Path, kind: str, version: str) -> Json:
    """What a compressed definition accepts of that kind and version, as JSON Schema without unknown fields."""
    text = lzma.decompress(file.read_bytes())
    definition = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))     # ten times as fast, where it is built
    assert definition["spec"]["names"]["kind"] == kind
    (found,) = (one for one in definition["spec"]["versions"] if one["name"] == version)
    made: Json = strict(found["schema"]["openAPIV3Schema"])
    return made


def strict(node: Any) -> Any:
    """Kubernetes' dialect in the standard one: a number or a text, and no field that is not listed."""
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
