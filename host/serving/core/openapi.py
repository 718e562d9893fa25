"""The description of the HTTP side in OpenAPI, assembled from each protocol's description of its routes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from arrayloom.host.serving.core.protocol import Protocol, Route

VERSION = "3.1.0"
ERROR, KEY = "Error", "key"
JSON = "application/json"

Schema = Mapping[str, Any]
Operation = Mapping[str, Any]
"""An OpenAPI operation; path parameters, security and errors are added later."""

_PARAMETERS = {"name": "Of the model.", "version": "Version of the model, a whole number from 1.",
               "label": "Label of a version of the model, as in TensorFlow Serving."}


def operation(summary: str, answer: Schema, body: Schema | None = None, required: bool = True,
              media_type: str = JSON, taken_type: str = JSON, description: str = "") -> Operation:
    """An operation that accepts the schema ``body`` and answers 200 with the schema ``answer``."""
    content = {media_type: {"schema": answer}}
    taken = {"requestBody": {"required": required, "content": {taken_type: {"schema": body}}}} if body else {}
    more = {"description": description} if description else {}
    return {"summary": summary, **taken, "responses": {"200": {"description": "Done.", "content": content}}, **more}


def ref(name: str) -> Schema:
    """A schema of ``components``."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, closed: bool = False) -> Schema:
    """The schema of an object with these members; ``closed``: no others are allowed."""
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required),
            **({"additionalProperties": False} if closed else {})}


STRING, BOOLEAN, INTEGER = {"type": "string"}, {"type": "boolean"}, {"type": "integer"}


def document(name: str, version: str, protocols: Sequence[Protocol], own: Mapping[Route, Operation],
             with_keys: bool) -> dict[str, Any]:
    """The whole description; ``own`` holds the server's own routes."""
    paths: dict[str, dict[str, Any]] = {}
    for group, operations in [("service", own), *((each.name, each.operations) for each in protocols)]:
        for route, described in operations.items():
            for path in route.paths:
                paths.setdefault(path, {})[route.verb.lower()] = _operation(route, path, described, group, with_keys)
    schemas = {name: schema for protocol in protocols for name, schema in protocol.schemas.items()}
    schemes = {"securitySchemes": {KEY: {"type": "http", "scheme": "bearer"}}} if with_keys else {}
    return {"openapi": VERSION, "info": {"title": name, "version": version}, "paths": paths,
            "components": {"schemas": {ERROR: record({"error": STRING}), **schemas}, **schemes}}


def _operation(route: Route, path: str, described: Operation, group: str, with_keys: bool) -> dict[str, Any]:
    named = re.findall(r"{(\w+)}", path)
    parameters = [{"name": each, "in": "path", "required": True, "description": _PARAMETERS[each], "schema": STRING}
                  for each in named]
    kind = "_".join([group.split()[0].lower(), route.name, *named])
    refused = {"description": "Refused; the text says what was wrong and what would be valid.",
               "content": {JSON: {"schema": ref(ERROR)}}}
    return {"operationId": re.sub(r"\W", "_", kind), "tags": [group], **described,
            **({"parameters": parameters} if parameters else {}),
            **({"security": [{KEY: []}]} if with_keys and not route.keyless else {}),
            "responses": {**described["responses"], "default": refused}}
