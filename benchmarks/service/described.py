"""Requests that a service's own description in OpenAPI allows, and such that it does not, as schemathesis makes them."""

import collections
import http.client
import math
from dataclasses import dataclass, field
from typing import Any

from benchmarks.service.running import Service
from benchmarks.service.seeds import MODEL, UNLOAD
from benchmarks.service.sending import GOOD_5XX, SECONDS

DESCRIPTION = "/openapi.json"


@dataclass
class Described:
    """``missing``: why there were no such requests; empty where there were."""

    missing: str = ""
    answers: collections.Counter[str] = field(default_factory=collections.Counter)
    faults: list[dict[str, Any]] = field(default_factory=list)


def missing(service: Service) -> str:
    """Why no requests can be made from a description; empty where they can."""
    connection = http.client.HTTPConnection("127.0.0.1", service.facts["http_port"], timeout=SECONDS)
    connection.request("GET", DESCRIPTION)
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        return f"the service has no {DESCRIPTION} ({status})"
    try:
        import schemathesis  # noqa: F401
    except ModuleNotFoundError:
        return "schemathesis is not installed: pip install schemathesis"
    return ""


def run(service: Service, requests: int, seed: int) -> Described:
    """At least so many requests, shared evenly by all operations but those that would take the model away."""
    if reason := missing(service):
        return Described(reason)
    import schemathesis

    base = f"http://127.0.0.1:{service.facts['http_port']}"
    schema = schemathesis.openapi.from_url(base + DESCRIPTION)
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [each for each in operations if UNLOAD not in each.path]
    found = Described()
    for operation in operations:
        for mode in schemathesis.GenerationMode:
            _send(operation, mode, math.ceil(requests / (2 * len(operations))), seed, base, found)
    return found


def _send(operation: Any, mode: Any, count: int, seed: int, base: str, found: Described) -> None:
    """One operation's requests, right ones or wrong ones; an operation that takes nothing has no wrong ones."""
    import hypothesis
    import requests
    import schemathesis
    from hypothesis.errors import Unsatisfiable

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=count, database=None, deadline=None, phases=[hypothesis.Phase.generate],
                         suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        call = f"{operation.method.upper()} {operation.path}"
        if mode is schemathesis.GenerationMode.POSITIVE and "name" in (case.path_parameters or {}):
            case.path_parameters["name"] = MODEL       # or hardly any request would get past the name
        try:
            status = case.call(base_url=base, timeout=SECONDS).status_code
        except requests.RequestException as error:
            found.faults.append({"protocol": "described", "call": call, "fault": f"{type(error).__name__}: {error}"[:300]})
            return
        found.answers[f"described {status}"] += 1
        if status >= 500 and status not in GOOD_5XX:
            found.faults.append({"protocol": "described", "call": call, "fault": f"{status}: {case.body!r}"[:500]})

    try:
        send()
    except Unsatisfiable:
        return
