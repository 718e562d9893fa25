"""A scripted service: each call takes the next answer or error, so tests control every retry of the client."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import PREDICT, tfs

Step = Callable[[Any], Any]


class Script:
    """``steps``: the effect of each Predict on its request; ``requests`` and ``metadata``: those received."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.requests: list[Any] = []
        self.metadata: list[dict[str, str]] = []
        self.server = grpc.server(ThreadPoolExecutor(2))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        handler = grpc.unary_unary_rpc_method_handler(self._predict, PREDICT.request.FromString,
                                                      lambda message: message.SerializeToString())
        self.server.add_generic_rpc_handlers((
            grpc.method_handlers_generic_handler(PREDICT.service, {PREDICT.name: handler}),))
        self.server.start()

    def _predict(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        step = self.steps.pop(0)
        if isinstance(step, grpc.StatusCode):
            context.abort(step, f"scripted {step.name}")
        return step


def answer(**outputs: np.ndarray) -> Any:
    """A PredictResponse with the given outputs."""
    response = tfs.PredictResponse()
    for name, values in outputs.items():
        response.outputs[name].CopyFrom(tensors.from_array(values))
    return response


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    yield script
    script.server.stop(None).wait()


@pytest.fixture
def answering() -> Callable[..., Any]:
    return answer
