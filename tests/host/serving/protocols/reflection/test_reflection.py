"""Reflection for clients without any description: the library's own client, and grpcurl if installed."""

import json
import os
import shutil
import subprocess

import asking
import grpc
import pytest
import serving
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from arrayloom.host.serving import Bundle

SERVICES = ["tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "inference.GRPCInferenceService",
            "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"]


def test_a_client_that_knows_nothing_calls_predict(server: serving.Server, bundles: dict[str, Bundle]) -> None:
    """It learns the messages by their public names and sends its request with them."""
    inputs = serving.images(1, seed=5)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert sorted(database.get_services()) == sorted(SERVICES)
        pool = descriptor_pool.DescriptorPool(database)
        method = pool.FindServiceByName("tensorflow.serving.PredictionService").FindMethodByName("Predict")
        assert method.input_type.full_name == "tensorflow.serving.PredictRequest"
        text = {"modelSpec": {"name": "digits", "version": "1"}, "inputs": {"image": {
            "dtype": "DT_FLOAT", "tensorShape": {"dim": [{"size": 1}, {"size": 1}, {"size": 8}, {"size": 8}]},
            "floatVal": [float(value) for value in inputs.ravel()]}}}
        request = json_format.ParseDict(text, message_factory.GetMessageClass(method.input_type)(), descriptor_pool=pool)
        data = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")(request.SerializeToString())
        response = message_factory.GetMessageClass(method.output_type).FromString(data)
    expected = serving.expected(bundles["one"], inputs)
    assert list(response.outputs["logits"].float_val) == expected.ravel().tolist()


def test_the_current_name_is_answered_too(server: serving.Server) -> None:
    """Each symbol with the files of its messages; unknown symbols get an error."""
    def ask(channel: grpc.Channel, **what: str) -> reflection_pb2.ServerReflectionResponse:
        call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        request = reflection_pb2.ServerReflectionRequest(**what)
        return reflection_pb2.ServerReflectionResponse.FromString(next(call(iter([request.SerializeToString()]))))

    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        listed = ask(channel, list_services="").list_services_response.service
        assert sorted(each.name for each in listed) == sorted(SERVICES)
        for symbol in [*SERVICES, "inference.ModelInferRequest", "google.protobuf.Any"]:
            assert ask(channel, file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto
        assert ask(channel, file_containing_symbol="a.B").error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_messages_that_are_none(server: serving.Server) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        for data in (b"\xff", b"\x0a\xff\xff\x7f" + bytes(1 << 17)):
            with pytest.raises(grpc.RpcError) as refused:
                next(call(iter([data])))
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


GRPCURL = os.environ.get("ARRAYLOOM_GRPCURL") or shutil.which("grpcurl")


@pytest.mark.skipif(GRPCURL is None, reason="grpcurl is neither on PATH nor named by ARRAYLOOM_GRPCURL")
def test_grpcurl_lists_and_calls(server: serving.Server) -> None:
    def grpcurl(*arguments: str) -> str:
        return subprocess.run([str(GRPCURL), "-plaintext", *arguments], capture_output=True, text=True, check=True,
                              timeout=60).stdout

    asking.load(server, "digits:1")
    address = f"127.0.0.1:{server.port}"
    assert set(SERVICES) <= set(grpcurl(address, "list").split())
    assert "rpc ModelInfer" in grpcurl(address, "describe", "inference.GRPCInferenceService")
    asked = json.dumps({"model_spec": {"name": "digits"}, "metadata_field": ["signature_def"]})
    answer = json.loads(grpcurl("-d", asked, address, "tensorflow.serving.PredictionService/GetModelMetadata"))
    assert "serving_default" in answer["metadata"]["signature_def"]["signatureDef"]
    live = json.loads(grpcurl(address, "inference.GRPCInferenceService/ServerLive"))
    assert live == {"live": True}
