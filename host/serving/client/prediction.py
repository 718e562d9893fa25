"""``PredictionClient``: TensorFlow Serving's Predict over gRPC, with retries and lookup of a deployed service."""

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
        Whether the service uses TLS.
    access_token
        One of the service's keys, or None if it needs no key. Keys work without TLS too.
    service_name
        Name of the service; gateways route by it, and the service checks it.
    model_name, model_version
        The model, or None for the service's default; its version, or None for the version on the device, else the latest.
    root_certificates
        Certificates (PEM) to trust instead of the system's, as bytes or the path of a file.
    server_name
        The name in the certificate if it differs from ``address``.
    retries
        How often and when a failed request is sent again.
    timeout
        Seconds allowed for one attempt.

    Notes
    -----
    ``outputs`` of all methods: one name returns its array, several return a dictionary by these names, and None returns all
    outputs by the model's names; names of tensors may end in ``:0``. For a single image, as in ``score_file``, arrays
    have no batch axis; for a batch, even of one image, they have shape [N, ...]. All methods raise
    ``ClientError`` with the service's reason.

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
        """Scores an image file (JPEG, PNG or BMP), which the service preprocesses; a classifier returns one score per class.

        ``input_name``: None for the only input.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise ClientError(f"{path}: cannot be read: {error.strerror}") from None
        return self.score_image(data, input_name, outputs)

    def score_image(self, image: bytes, input_name: str | None = None, outputs: Outputs = None) -> Any:
        """Scores an encoded image; otherwise like ``score_file``."""
        found = self.score_tensors({input_name or self._only_input(): tensors.from_strings([image])}, outputs)
        return _of_one(found) if isinstance(outputs, str) else {name: _of_one(values) for name, values in found.items()}

    def score_numpy_arrays(self, arrays: Mapping[str, Array] | None = None, outputs: Outputs = None, *,
                           input_map: Mapping[str, Array] | None = None) -> Any:
        """Scores a batch: tensors [N, ...] by input name, with the shapes and dtypes that the model accepts
        (``signatures``).

        ``input_map`` is the original client's name for ``arrays``.
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
        """The model's signatures, a ``SignatureDefMap`` of its inputs and outputs."""
        return tfs.SignatureDefMap.FromString(self._metadata_field(SIGNATURE_FIELD))

    def labels(self) -> list[str] | None:
        """The model's class names in the order of its outputs, None if it has none or the server is not Arrayloom."""
        return list(tfs.LabelList.FromString(self._metadata_field(LABELS_FIELD)).label) or None

    def recipe(self) -> str | None:
        """The name of the preprocessing that the service applies to images; None if it accepts tensors only.

        The name is one of ``arrayloom.host.vision.recipes``; only Arrayloom's server reports it.
        """
        return tfs.Recipe.FromString(self._metadata_field(RECIPE_FIELD)).name or None

    def encodings(self) -> dict[str, tuple[float, int]]:
        """Scale and zero point of 8-bit outputs by name, if the model gives them: value = (byte - zero point) * scale.

        Only Arrayloom's server reports them.
        """
        found = tfs.EncodingList.FromString(self._metadata_field(ENCODINGS_FIELD)).encoding
        return {each.output: (each.scale, each.zero_point) for each in found}

    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of the model's only input, with -1 for the batch; None if it has several inputs."""
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
    """What a client needs from a deployed service; the services of ``arrayloom.host.workspace`` provide it."""

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
        Further arguments of ``PredictionClient``. The service's own certificate is trusted unless ``root_certificates`` is
        given.
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
    """Drops the batch axis of an output [1, ...] for one image; other servers may return outputs without that axis."""
    return values[0] if values.ndim and len(values) == 1 else values
