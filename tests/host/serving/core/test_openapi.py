"""The OpenAPI description is valid and complete, and matches the answers."""

import asyncio
import json
from pathlib import Path
from typing import Any

import asking
import jsonschema
import pytest
import serving
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from arrayloom.host.serving.core import http_server
from arrayloom.host.serving.core.keys import KeyFile, Keys
from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.protocols.registry import PROTOCOLS


@pytest.fixture(scope="module")
def document(server: serving.Server) -> dict[str, Any]:
    return json.loads(asking.http(server, http_server.OPENAPI.path))


def test_the_description_is_valid_and_names_every_route(document: dict[str, Any]) -> None:
    validate(document, cls=OpenAPIV31SpecValidator)
    routes = {(path, route.verb.lower()) for protocol in PROTOCOLS for route in protocol.routes for path in route.paths}
    routes |= {(path, route.verb.lower()) for route in http_server.OPERATIONS for path in route.paths}
    assert {(path, verb) for path, verbs in document["paths"].items() for verb in verbs} == routes
    identifiers = [each["operationId"] for verbs in document["paths"].values() for each in verbs.values()]
    assert len(set(identifiers)) == len(identifiers)


INFER = {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 1, 8, 8], "data": [0.5] * 64}]}
PREDICT = {"instances": serving.images(1).tolist()}


@pytest.mark.parametrize(("template", "body"), [
    ("/v2", None), ("/v2/health/live", None), ("/v2/health/ready", None), ("/v2/repository/index", {}),
    ("/v2/models/{name}", None), ("/v2/models/{name}/config", None), ("/v2/models/stats", None),
    ("/v2/models/{name}/stats", None), ("/v2/models/{name}/infer", INFER), ("/v1/models/{name}", None),
    ("/v1/models/{name}/metadata", None), ("/v1/models/{name}:predict", PREDICT)])
def test_answers_are_as_described(server: serving.Server, document: dict[str, Any], template: str, body: Any) -> None:
    path = template.format(name="digits")
    answer = json.loads(asking.http(server, path, None if body is None else json.dumps(body).encode()))
    described = document["paths"][template]["get" if body is None else "post"]
    schema = described["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(answer, {**schema, "components": document["components"]})
    if body:
        asked = described["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(body, {**asked, "components": document["components"]})
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"other": 1}, {**asked, "components": document["components"]})


def test_keys_stand_in_the_description_where_they_are_on(tmp_path: Path) -> None:
    Keys.generate().save(tmp_path / "keys.json")
    model = Model("a", 1, Path("a"), (), (), None, None, "tiny")

    async def scenario() -> dict[str, Any]:
        service = Service([model], Settings(port=0, http_port=0), KeyFile(tmp_path / "keys.json"), "", {}, "")
        return http_server.description(service, PROTOCOLS)

    found = asyncio.run(scenario())
    validate(found, cls=OpenAPIV31SpecValidator)
    keyless = {path for path, verbs in found["paths"].items() for each in verbs.values() if "security" not in each}
    assert keyless == {"/v2/health/live", "/v2/health/ready", "/"}
