"""``PredictionClient``: TensorFlow Serving's Predict over gRPC, when it tries again, and how it finds a deployed service."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.serving.client.transport import Retries, ask, channel, metadata, require_grpc
from arrayloom.host.serving.core.protocol import Method
from arrayloom.host.serving.errors import ClientError, MessageError
from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import (
    DEFAULT_SIGNATURE,
    ENCODINGS_FIELD,
    GET_MODEL_METADATA,
    LABELS_FIELD,
    PREDICT,
    RECIPE_FIELD,
    SIGNATURE_FIELD,
    tfs,
)

Array = NDArray[Any]
Outputs = str | Sequence[str] | None


class PredictionClient:
    """Scores images and tensors on a service. One client may be used by several threads.

    Parameters
    ----------
    address, port
        Host name or address of the service, and its gRPC port.
    use_ssl
        Whether it speaks TLS.
    access_token
        One of its keys, or None where it takes anyone's requests. A key needs no TLS.
    service_name
        The name of the service, for gateways that route by it and for the service to check.
    model_name, model_version
        The model, or None for the service's default; its version, or None for the one on the device or the latest.
    root_certificates
        Certificates (PEM) to trust instead of the system's, as bytes or the path of a file.
    server_name
        The name in the certificate where it is not ``address``.
    retries
        When a request is sent again.
    timeout
        Seconds for one try.

    Notes
    -----
    ``outputs`` of all methods: one name gives its array, several give arrays by these names, None gives all outputs by the
    model's names; names of tensors may end in ``:0``. Arrays have no batch axis where one image was given, as by
    ``score_file``, and are [N, ...] where a batch was given, even one of a single image. All methods raise ``ClientError``
    with the service's reason.

    Raises
    ------
    ClientError
        gRPC, of the extra ``serve``, is not installed.
    """

    def __init__(self, address: str, port: int = 50051, use_ssl: bool = False, access_token: str | None = None,
                 service_name: str | None = None, *, model_name: str | None = None, model_version: int | None = None,
                 root_certificates: bytes | Path | None = None, server_name: str | None = None,
                 retries: Retries | None = None, timeout: float = 60.0) -> None:
        require_grpc()
        self._retries, self._timeout = retries or Retries(), timeout
        self._model = tfs.ModelSpec(name=model_name or "")
        if model_version is not None:
            self._model.version.value = model_version
        self._metadata = metadata(access_token, service_name)
        self._channel = channel(address, port, use_ssl, root_certificates, server_name)
        self._predict = self._method(PREDICT)
        self._describe = self._method(GET_MODEL_METADATA)

    def score_file(self, path: str | Path, input_name: str | None = None, outputs: Outputs = None) -> Any:
        """Scores an image file (JPEG, PNG or BMP), which the service preprocesses: of a classifier one score a class.

        ``input_name``: None for the only input.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise ClientError(f"{path}: cannot be read: {error.strerror}") from None
        return self.score_image(data, input_name, outputs)

    def score_image(self, image: bytes, input_name: str | None = None, outputs: Outputs = None) -> Any:
        """The same for an encoded image."""
        found = self.score_tensors({input_name or self._only_input(): tensors.from_strings([image])}, outputs)
        return _of_one(found) if isinstance(outputs, str) else {name: _of_one(values) for name, values in found.items()}

    def score_numpy_arrays(self, arrays: Mapping[str, Array] | None = None, outputs: Outputs = None, *,
                           input_map: Mapping[str, Array] | None = None) -> Any:
        """Scores a batch: tensors [N, ...] by input name, of the shapes and dtypes that the model takes (``signatures``).

        ``input_map``: what the original client calls ``arrays``.
        """
        if (arrays is None) == (input_map is None):
            raise ClientError("score_numpy_arrays: give the tensors once, as arrays or as input_map")
        arrays = input_map if arrays is None else arrays
        assert arrays is not None
        return self.score_tensors({name: _tensor(name, values) for name, values in arrays.items()}, outputs)

    def score_tensors(self, inputs: Mapping[str, Any], outputs: Outputs = None) -> Any:
        """Scores a batch of messages by input name: ``TensorProto`` of this package or of TensorFlow's."""
        names = [outputs] if isinstance(outputs, str) else list(outputs or ())
        request = tfs.PredictRequest(model_spec=self._model, output_filter=names)
        for name, tensor in inputs.items():
            request.inputs[name].ParseFromString(tensor.SerializeToString())
        response = self._call(self._predict, request)
        try:
            arrays = {name: tensors.to_array(tensor) for name, tensor in response.outputs.items()}
        except MessageError as error:
            raise ClientError(f"the service's answer: {error}") from None
        return arrays[outputs] if isinstance(outputs, str) else {name: arrays[name] for name in names or sorted(arrays)}

    def signatures(self) -> Any:
        """The model's signatures, a ``SignatureDefMap``: what it takes and gives."""
        return tfs.SignatureDefMap.FromString(self._metadata_field(SIGNATURE_FIELD))

    def labels(self) -> list[str] | None:
        """The model's class names in the order of its outputs, None where it has none or the service is not Arrayloom's."""
        return list(tfs.LabelList.FromString(self._metadata_field(LABELS_FIELD)).label) or None

    def recipe(self) -> str | None:
        """The name of the preprocessing that the service applies to images, None where it takes tensors only.

        Of ``arrayloom.host.vision.recipes``; only a service of Arrayloom's knows it.
        """
        return tfs.Recipe.FromString(self._metadata_field(RECIPE_FIELD)).name or None

    def encodings(self) -> dict[str, tuple[float, int]]:
        """Of outputs of bytes scale and zero point by name: value = (byte - zero point) * scale, where the model says it.

        Only a service of Arrayloom's knows it.
        """
        found = tfs.EncodingList.FromString(self._metadata_field(ENCODINGS_FIELD)).encoding
        return {each.output: (each.scale, each.zero_point) for each in found}

    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of the model's only input, -1 for the batch; None where it has several."""
        inputs = list(self.signatures().signature_def[DEFAULT_SIGNATURE].inputs.values())
        return tuple(dim.size for dim in inputs[0].tensor_shape.dim) if len(inputs) == 1 else None

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _only_input(self) -> str:
        """The input's name, asked from the service."""
        names = sorted(self.signatures().signature_def[DEFAULT_SIGNATURE].inputs)
        if len(names) != 1:
            raise ClientError(f"the model has {len(names)} inputs ({', '.join(names)}); name the one that takes the image")
        return names[0]

    def _metadata_field(self, field: str) -> bytes:
        request = tfs.GetModelMetadataRequest(model_spec=self._model, metadata_field=[field])
        return self._call(self._describe, request).metadata[field].value

    def _method(self, method: Method) -> Any:
        return self._channel.unary_unary(method.path, lambda request: request.SerializeToString(),
                                         method.response.FromString)

    def _call(self, method: Any, request: Any) -> Any:
        return ask(lambda: method(request, timeout=self._timeout, metadata=self._metadata), self._retries)


class DeployedService(Protocol):
    """What a client must know of a deployed service; ``arrayloom.host.workspace``'s services are such."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> Any: ...

    @property
    def configuration(self) -> Any: ...

    @property
    def auth_enabled(self) -> bool: ...

    def get_keys(self) -> tuple[str, str]:
        """The primary and the secondary key."""
        ...


def client_from_service(service: DeployedService, **options: Any) -> PredictionClient:
    """A client with the address, the transport and the primary key of a service.

    Parameters
    ----------
    service
        A service of a workspace.
    options
        Further ones of ``PredictionClient``. The service's own certificate is trusted unless ``root_certificates`` is given.
    """
    address = service.address
    if address.tls:
        options.setdefault("root_certificates", service.configuration.settings.tls_cert)
    token = service.get_keys()[0] if service.auth_enabled else None
    return PredictionClient(address.reachable, address.port, address.tls, token, service.name, **options)


def _tensor(name: str, values: Array) -> Any:
    array = np.asarray(values)
    try:
        return tensors.from_content(array)
    except KeyError:
        raise ClientError(f"input {name!r}: dtype {array.dtype} cannot be sent") from None


def _of_one(values: Array) -> Array:
    """An output [1, ...] of one image without the batch axis; servers of other makers may have outputs without one."""
    return values[0] if values.ndim and len(values) == 1 else values
