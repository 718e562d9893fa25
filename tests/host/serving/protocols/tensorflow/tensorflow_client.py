"""Sends requests through the official stubs; needs TensorFlow and tensorflow-serving-api installed.

Arguments: HOST:PORT, an .npy with a tensor, an image file, and the .npz for the answers.
"""

import json
import sys
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


def main(address: str, tensor: str, image: str, out: str) -> None:
    channel = grpc.insecure_channel(address)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def predict(value: object) -> np.ndarray:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "digits"
        request.model_spec.version.value = 1
        request.inputs["image"].CopyFrom(tf.make_tensor_proto(value))
        return tf.make_ndarray(stub.Predict(request, 60).outputs["logits"])

    np.savez(out, tensor=predict(np.load(tensor)), image=predict([Path(image).read_bytes()]))
    try:
        predict(np.zeros((1, 2), np.float32))
        bad = "answered"
    except grpc.RpcError as error:
        bad = error.code().name
    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name = "digits"
    definitions = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(metadata, 60).metadata["signature_def"].Unpack(definitions)
    inputs = definitions.signature_def["serving_default"].inputs
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "digits"
    status.model_spec.version.value = 1
    state = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status, 60).model_version_status[0].state
    print(json.dumps({"state": get_model_status_pb2.ModelVersionStatus.State.Name(state), "inputs": list(inputs),
                      "dtype": tf.dtypes.as_dtype(inputs["image"].dtype).as_datatype_enum == 1 and "DT_FLOAT", "bad": bad}))


main(*sys.argv[1:])
