"""A minimal server of ONNX Runtime, for comparison: inference by the Open Inference Protocol with binary tensors over HTTP,
and TensorFlow Serving's Predict over gRPC. No queue, no limits, no keys, no checks.

``python -m benchmarks.onnxruntime_server MODEL.onnx --workers 1 --threads 1 --ready-file FILE`` is started by
``benchmarks.serve``. Up to ``--workers`` requests run at a time, each with ``--threads`` threads.
"""

import argparse
import asyncio
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
from aiohttp import web
from numpy.typing import NDArray

from arrayloom.host.serving.core.protocol import TIMING
from arrayloom.host.serving.protocols.open_inference import INFER, JSON_LENGTH
from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import PREDICT, tfs
from arrayloom.isa.files import write_atomically

Tensors = dict[str, NDArray[Any]]


class Engine:
    """The model on the CPU."""

    def __init__(self, model: Path, workers: int, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self._session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._pool = ThreadPoolExecutor(workers)

    async def run(self, inputs: Tensors) -> tuple[Tensors, str]:
        """The outputs, and the session's time in the format of the service's header."""
        values, seconds = await asyncio.get_running_loop().run_in_executor(self._pool, self._run, inputs)
        return dict(zip(self._outputs, values, strict=True)), f"queue;dur=0.0, device;dur={1000 * seconds:.4f}"

    def _run(self, inputs: Tensors) -> tuple[list[NDArray[Any]], float]:
        begin = time.perf_counter()
        return self._session.run(None, inputs), time.perf_counter() - begin


async def over_http(engine: Engine, request: web.Request) -> web.Response:
    body = await request.read()
    length = int(request.headers[JSON_LENGTH])
    (given,) = json.loads(body[:length])["inputs"]
    outputs, timing = await engine.run({given["name"]: np.frombuffer(body[length:], np.float32).reshape(given["shape"])})
    entries = [{"name": name, "datatype": "FP32", "shape": list(values.shape),
                "parameters": {"binary_data_size": values.nbytes}} for name, values in outputs.items()]
    text = json.dumps({"model_name": request.match_info["name"], "outputs": entries}).encode()
    return web.Response(body=text + b"".join(values.tobytes() for values in outputs.values()),
                        headers={JSON_LENGTH: str(len(text)), TIMING: timing})


async def over_grpc(engine: Engine, request: Any, context: Any) -> Any:
    outputs, timing = await engine.run({name: tensors.to_array(tensor) for name, tensor in request.inputs.items()})
    context.set_trailing_metadata(((TIMING.lower(), timing),))
    answer = tfs.PredictResponse(model_spec=request.model_spec)
    for name, values in outputs.items():
        answer.outputs[name].CopyFrom(tensors.from_content(values))
    return answer


async def serve(engine: Engine, ready: Path) -> None:
    """Serves until stopped, on free ports, which are written to ``ready`` as by ``arrayloom serve``."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    application = web.Application(client_max_size=1 << 30)
    application.router.add_post(INFER.at("{name}"), lambda request: over_http(engine, request))
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])

    async def predict(request: Any, context: Any) -> Any:
        return await over_grpc(engine, request, context)

    handler = grpc.unary_unary_rpc_method_handler(predict, PREDICT.request.FromString, PREDICT.response.SerializeToString)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(PREDICT.service, {PREDICT.name: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with write_atomically(ready) as file:
        file.write(json.dumps({"port": port, "http_port": runner.addresses[0][1]}).encode())
    await stopped.wait()
    await server.stop(None)
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.onnxruntime_server", description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="requests at a time (default 1)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each (default 1)")
    parser.add_argument("--ready-file", type=Path, required=True, metavar="FILE", help="gets the ports")
    options = parser.parse_args()
    asyncio.run(serve(Engine(options.model, options.workers, options.threads), options.ready_file))
