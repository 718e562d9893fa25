"""Malformed, oversized, slow and compressed messages, full queues and expired deadlines."""

import asyncio
import gzip
import json
import socket
import struct
import threading
import time
import urllib.request
import zlib
from pathlib import Path

import asking
import numpy as np
import pytest
import serving
from asking import Ask, RefusedError, call, call_bytes, http, strings

from arrayloom.host.serving.client import ClientError, PredictionClient, Retries
from arrayloom.host.serving.core.http_server import METRICS
from arrayloom.host.serving.core.metrics import resident_bytes
from arrayloom.host.serving.core.protocol import Method
from arrayloom.host.serving.protocols import open_inference, tensorflow
from arrayloom.host.serving.protocols.open_inference.messages import MODEL_INFER, oip
from arrayloom.host.serving.protocols.tensorflow.messages import GET_MODEL_METADATA, GET_MODEL_STATUS, PREDICT, tfs

V1, V2 = tensorflow.PREDICT.at("digits"), open_inference.INFER.at("digits")
ROW = [[[0.5] * 8] * 8]


@pytest.mark.parametrize("method", [PREDICT, MODEL_INFER, GET_MODEL_METADATA, GET_MODEL_STATUS], ids=lambda each: each.name)
def test_malformed_messages(server: serving.Server, method: Method) -> None:
    for data in (b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x7f", b"\x0a"):
        with pytest.raises(RefusedError, match="INVALID_ARGUMENT: malformed message"):
            call_bytes(server, method.path, data)


@pytest.mark.parametrize(("change", "message"), [
    ({"dtype": 8}, "dtype 8 is not supported"),
    ({"dtype": 99}, "dtype 99 is not supported"),
    ({"tensor_content": b"123"}, "3 bytes given, 256 wanted"),
    ({"float_val": [1.0] * 65}, "65 values given, 64 wanted"),
])
def test_tensors_that_are_not_what_they_claim(server: serving.Server, change: dict, message: str) -> None:
    request = tfs.PredictRequest()
    tensor = request.inputs["image"]
    tensor.dtype = 1
    for extent in (1, 1, 8, 8):
        tensor.tensor_shape.dim.add(size=extent)
    tensor.MergeFrom(tfs.TensorProto(**change))
    with pytest.raises(RefusedError, match=message):
        call(server, PREDICT, request)


@pytest.mark.parametrize("shape", [[-1, 1, 8, 8], [1 << 62, 1 << 62], [1 << 41]])
def test_shapes_that_no_memory_holds(server: serving.Server, shape: list[int]) -> None:
    request = tfs.PredictRequest()
    request.inputs["image"].dtype = 1
    request.inputs["image"].float_val.append(1.0)
    for extent in shape:
        request.inputs["image"].tensor_shape.dim.add(size=extent)
    with pytest.raises(RefusedError, match="INVALID_ARGUMENT: input 'image': tensor_shape"):
        call(server, PREDICT, request)
    inputs = [oip.InferInputTensor(name="image", datatype="FP32", shape=shape)]
    with pytest.raises(RefusedError, match="INVALID_ARGUMENT: input 'image'"):
        call(server, MODEL_INFER, oip.ModelInferRequest(model_name="digits", inputs=inputs, raw_input_contents=[b"1234"]))


def test_one_value_for_all_costs_no_memory(server: serving.Server) -> None:
    """TensorFlow allows a single value to be repeated: a few bytes that claim 4 TiB are refused by their shape."""
    request = tfs.PredictRequest()
    request.inputs["image"].dtype = 1
    request.inputs["image"].float_val.append(0.5)
    for extent in (1 << 34, 1, 8, 8):
        request.inputs["image"].tensor_shape.dim.add(size=extent)
    with pytest.raises(RefusedError, match="from 1 to 8"):
        call(server, PREDICT, request)


@pytest.mark.parametrize(("path", "body", "message"), [
    (V1, b"", "not JSON"),
    (V1, b"{", "not JSON"),
    (V1, b"[" * 1200, "not JSON"),
    (V1, b"[" * 100_000, "100000 lists and objects, which no request of 1 to 8 images has"),
    (V1, b'{"instances": [' + b"1," * 10_000, "10000 values, which no request of 1 to 8 images has"),
    (V1, b'{"instances": ' + b"[" * 900 + b'{"b64": "YQ=="}' + b"]" * 900 + b"}", "nested 900 deep"),
    (V1, b'{"instances": ' + b"[" * 40 + b"1" + b"]" * 40 + b"}", "nested 40 deep"),
    (V2, b'{"inputs": [{"name": "image", "datatype": "FP32", "shape": [0, %d], "data": []}]}' % (1 << 62), "must be a list"),
    (V2, b'{"inputs": [{"name": "image", "datatype": "FP32", "shape": [0, 1099511627776, 2], "data": []}]}', "shape [0"),
    (V2, b'{"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 1, 8, 8], "data": [%b]}], "parameters": '
         b'{"timeout": 1%b}}' % (b",".join([b"1"] * 64), b"0" * 400), "must be a whole number of microseconds, from 1 to"),
    (V2, b'{"inputs": [{"name": "image", "datatype": "FP32", "shape": [1], "parameters": {"shared_memory_region": "r"}}]}',
     "regions of shared memory are not supported"),
    (V2, b'{"inputs": [], "outputs": [{"name": "logits", "parameters": {"shared_memory_region": "r"}}]}',
     "output 'logits': parameter 'shared_memory_region'"),
    (V1, b"[1]", "must be a JSON object"),
    (V1, b"{}", "either \"instances\""),
    (V1, b'{"instances": 3}', "must be a list"),
    (V1, b'{"instances": []}', "not empty"),
    (V1, b'{"instances": [[1], [1, 2]]}', "different lengths"),
    (V1, b'{"instances": ["text"]}', "numbers wanted for float32, strings given"),
    (V1, b'{"instances": [{"b64": "?"}]}', "not base64"),
    (V1, b'{"instances": [{"b64": 1}]}', "one object for each image"),
    (V1, b'{"instances": [{"image": 1}, {"other": 1}]}', "must name the same inputs"),
    (V1, b'{"inputs": 1, "extra": 2}', "member 'extra' is unknown"),
    (V1, b'{"inputs": 1, "signature_name": "train"}', "signature_name 'train' is unknown; the model's are: serving_default"),
    (V2, b"{}", "inputs: must be a list of objects"),
    (V2, b'{"inputs": [{"name": "image"}]}', "give its values as data"),
    (V2, b'{"inputs": [{"name": "image", "datatype": "FP8", "shape": [1], "data": [1]}]}', "datatype 'FP8' is unknown"),
    (V2, b'{"inputs": [{"name": "image", "datatype": "FP32", "shape": [2], "data": [1]}]}', "does not match shape"),
    (V2, b'{"inputs": [{"name": "image", "datatype": "FP32", "shape": "x", "data": [1]}]}', "must be a list of non-neg"),
    (V2, b'{"inputs": [{"name": "image", "parameters": {"binary_data_size": 9}}]}', "0 bytes are left"),
])
def test_bodies_that_are_refused(server: serving.Server, path: str, body: bytes, message: str) -> None:
    with pytest.raises(RefusedError) as refused:
        http(server, path, body)
    assert refused.value.code == 400
    assert message in refused.value.message


@pytest.mark.parametrize("length", ["-1", "99999", "ten", "1" * 40])
def test_lengths_of_the_json_part(server: serving.Server, length: str) -> None:
    with pytest.raises(RefusedError, match="must be the length of the body's JSON part"):
        http(server, V2, b"{}", {open_inference.JSON_LENGTH: length})


def test_oversized_messages(server: serving.Server) -> None:
    with pytest.raises(RefusedError, match="INVALID_ARGUMENT: a message of 400003 bytes; at most 300000 are accepted"):
        call_bytes(server, PREDICT.path, b"\x1a\x80\x10" + bytes(400_000))
    with pytest.raises(RefusedError, match="RESOURCE_EXHAUSTED"):     # gRPC itself refuses it, before reading that much
        call_bytes(server, PREDICT.path, bytes(3_000_000))
    with pytest.raises(RefusedError, match="larger than the 300000 bytes accepted"):
        http(server, V1, bytes(400_000))


def test_decompression_bombs(server: serving.Server) -> None:
    """A body and an image that are small until decompressed."""
    before = resident_bytes(server.process.pid)
    for body, encoding in ((gzip.compress(bytes(50_000_000)), "gzip"), (zlib.compress(bytes(50_000_000)), "deflate")):
        with pytest.raises(RefusedError, match="larger than the 300000 bytes accepted"):
            http(server, V1, body, {"Content-Encoding": encoding})
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000_000))[:15_000]
    bomb = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    with pytest.raises(RefusedError, match="pixels are more than the 40,000 accepted"):
        asking.tfs_grpc(server, Ask({"image": strings(bomb)}))
    assert resident_bytes(server.process.pid) < before + (30 << 20)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.fixture(scope="module")
def strict(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """A slow device, a queue for two, one second for requests to arrive; ``turned`` is refused until it is loaded."""
    options = ["--queue", "2", "--receive-timeout", "1", "--reflash", "refuse", "--backend", "rtl"]
    with serving.Server(tmp_path_factory.mktemp("strict"), bundle_folder / "one", bundle_folder / "turned",
                        *options) as server:
        yield server


@pytest.mark.parametrize("sent", [b"", b"POST %b HTTP/1.1\r\nHost: localhost\r\n" % V1.encode(),
                                  b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{" % V1.encode()])
def test_slow_clients_are_cut_off(strict: serving.Server, sent: bytes) -> None:
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", strict.facts["http_port"]), timeout=30) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(4096):
            received += piece
    assert 0.5 < time.monotonic() - begin < 15
    assert b"did not arrive within 1.0 s" in received if b"Content-Length" in sent else received == b""


def test_full_queue(strict: serving.Server) -> None:
    """Of many concurrent requests, some are answered and the rest refused; none hangs and none is lost."""
    batch = np.repeat(serving.images(1), 8, 0)
    codes: list[str] = []

    def ask() -> None:
        with PredictionClient("127.0.0.1", strict.port, retries=Retries(tries=1)) as client:
            try:
                client.score_numpy_arrays({"image": batch})
                codes.append("OK")
            except ClientError as error:
                codes.append(error.code)

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(codes) == 10
    assert set(codes) == {"OK", "RESOURCE_EXHAUSTED"}
    assert codes.count("OK") >= 3


def test_deadlines(strict: serving.Server) -> None:
    batch = np.repeat(serving.images(1), 64, 0)
    with PredictionClient("127.0.0.1", strict.port, retries=Retries(tries=1), timeout=0.05) as client, \
            pytest.raises(ClientError, match="DEADLINE_EXCEEDED"):
        client.score_numpy_arrays({"image": batch})
    body = {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 1, 8, 8], "data": ROW}],
            "parameters": {"timeout": 1}}
    with pytest.raises(RefusedError) as refused:
        http(strict, V2, json.dumps(body).encode())
    assert refused.value.code == 504
    assert "no answer within" in refused.value.message


def test_refused_until_loaded(strict: serving.Server, bundles: dict) -> None:
    """With --reflash refuse a model is served after an operator has loaded it, and the previous model no longer is."""
    image = serving.images(1)
    with pytest.raises(RefusedError, match="turned version 1 is not on the device") as refused:
        asking.rest(strict, Ask({"image": image}, "turned"))
    assert refused.value.code == 503
    with pytest.raises(RefusedError, match="UNAVAILABLE"):
        asking.tfs_grpc(strict, Ask({"image": image}, "turned"))
    for model, bundle, other in (("turned", "turned", "digits"), ("digits", "one", "turned")):
        asking.load(strict, model)
        answer = asking.tfs_grpc(strict, Ask({"image": image}, ""))["logits"]
        assert answer.tobytes() == serving.expected(bundles[bundle], image).tobytes()
        with pytest.raises(RefusedError, match="UNAVAILABLE"):
            asking.oip_grpc(strict, Ask({"image": image}, other))


def test_clients_that_go_away_leave_nothing(strict: serving.Server) -> None:
    async def leave() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", strict.facts["http_port"])
        body = json.dumps({"instances": [ROW] * 8}).encode()
        writer.write(b"POST " + V1.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
                     + body)
        await writer.drain()
        writer.close()

    for _ in range(5):
        asyncio.run(leave())
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with urllib.request.urlopen(strict.url + METRICS.path) as response:
            text = response.read().decode()
        if "arrayloom_queue_length 0.0" in text and "arrayloom_requests_in_flight 0.0" in text:
            return
        time.sleep(0.1)
    pytest.fail("requests of clients that went away still wait")
