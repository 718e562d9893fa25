"""The page and its requests. The page itself holds no data and needs no key; its requests do."""

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from arrayloom.host.serving.core.openapi import BOOLEAN, INTEGER, STRING, array, operation, record
from arrayloom.host.serving.core.protocol import TIMING, Protocol
from arrayloom.host.serving.core.repository import parse_version
from arrayloom.host.serving.core.service import Service, State
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.host.serving.protocols import http_body as bodies
from arrayloom.host.serving.protocols import page as routes
from arrayloom.host.serving.protocols.arrays import strings

HTML = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


def _hash(tag: str) -> str:
    """The hash by which the content security policy allows only the page's own script or style."""
    (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", HTML, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; script-src {_hash('script')}; style-src {_hash('style')}; "
                               "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                               "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


async def page(_: Service, __: web.Request) -> web.Response:
    return web.Response(text=HTML, content_type="text/html", headers=HEADERS)


async def models(service: Service, _: web.Request) -> web.Response:
    """The models that accept pictures, the default first."""
    found = [model for model in service.repository if model.recipe is not None and service.repository.is_loaded(model)]
    found.sort(key=lambda model: model is not service.repository.default)
    return web.json_response([{"name": model.name, "version": model.version,
                               "ready": service.state(model) is State.AVAILABLE} for model in found])


async def look(service: Service, request: web.Request) -> web.Response:
    """The most likely classes or boxes of the picture in the body, with times and cycles."""
    model = service.find(request.match_info["name"], parse_version(request.match_info.get("version", "")))
    if bodies.encoding(request) != "identity":
        raise ServiceError(Kind.INVALID, "Content-Encoding: a picture is compressed already; send it as it is")
    picture = bytes(await bodies.read(request, service.settings))
    asked = service.request(model, {model.inputs[0].name: strings([picture])}, [])
    result = await service.infer(replace(asked, look=True))
    result.log("page")
    return web.json_response({
        "model": model.name, "version": model.version, "seen": result.seen, "cycles": result.cycles,
        "device_ms": round(1000 * result.device_seconds, 3), "preprocess_ms": round(1000 * result.preprocess_seconds, 3),
        "queue_ms": round(1000 * result.queue_seconds, 3)}, headers={TIMING: result.timing()})


_NUMBER = {"type": "number"}
_SEEN = record({"index": INTEGER, "label": STRING, "confidence": _NUMBER}, {"box": array(_NUMBER)})

PAGE = Protocol("page", methods={}, routes={routes.PAGE: page, routes.MODELS: models, routes.LOOK: look}, operations={
    routes.PAGE: operation("A page on which a person drops a picture.", STRING, media_type="text/html"),
    routes.MODELS: operation("The models that accept pictures.", array(record(
        {"name": STRING, "version": INTEGER, "ready": BOOLEAN}))),
    routes.LOOK: operation("What a model recognizes in a JPEG, PNG or BMP.", record(
        {"model": STRING, "version": INTEGER, "seen": array(_SEEN), "cycles": INTEGER, "device_ms": _NUMBER,
         "preprocess_ms": _NUMBER, "queue_ms": _NUMBER}), STRING, taken_type="application/octet-stream"),
})
