"""``arrayloom score`` with ``--service`` or ``--address``: a service preprocesses and classifies the images."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS
from arrayloom.host.cli import score_detectors
from arrayloom.host.cli.import_options import import_options
from arrayloom.host.models.scoring import rank_outputs
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.vision.classify import Ranked
from arrayloom.host.vision.detection import Detector
from arrayloom.isa.host_parts import ModelPort
from arrayloom.isa.host_steps import Quantize

if TYPE_CHECKING:
    from arrayloom.host.serving.client import PredictionClient

KEY_VARIABLE = "ARRAYLOOM_KEY"
DEFAULT_PORT = 50051


class _WithoutModel(argparse.Action):
    """Stores the option; if it is given, a single path is an image and not the model."""

    images: argparse.Action

    def __call__(self, _parser: argparse.ArgumentParser, options: argparse.Namespace, values: Any,
                 _option: str | None = None) -> None:
        setattr(options, self.dest, values)
        self.images.nargs, self.images.required, self.images.default = "*", False, []
        setattr(options, self.images.dest, [])


def add_options(parser: argparse.ArgumentParser, images: argparse.Action) -> None:
    """``images``: the command's argument for images, which follows the model."""
    group = parser.add_argument_group("with a service", "give only images then, without a model")
    service = group.add_argument("--service", metavar="NAME", action=_WithoutModel, help="a service of the workspace")
    group.add_argument("--workspace", type=Path, metavar="DIR", help="the workspace's folder (default: searched from the "
                                                                     "current folder upwards)")
    address = group.add_argument("--address", metavar="HOST:PORT", action=_WithoutModel,
                                 help="address of any service; its key, if it needs one, is read from the environment "
                                      f"variable {KEY_VARIABLE}")
    for option in (service, address):
        option.images = images      # type: ignore[attr-defined]
    group.add_argument("--tls", action="store_true", help="the service at --address uses TLS")
    group.add_argument("--root-certificates", type=Path, metavar="FILE", help="certificates (PEM) to trust")
    group.add_argument("--server-name", metavar="NAME", help="the name in the certificate, if it differs from the address")


def is_asked(options: argparse.Namespace) -> bool:
    return options.service is not None or options.address is not None


class _Served(NamedTuple):
    """What the service reports about the model: shape [N, ...] of its only input, class names, recipe, and scale
    and zero point of 8-bit outputs."""

    shape: tuple[int, ...] | None
    labels: list[str] | None
    recipe: str | None
    encodings: dict[str, tuple[float, int]]

    def port(self, name: str, values: NDArray[Any]) -> ModelPort:
        """An output of the user's model."""
        dtype = values.dtype.name
        step = Quantize(*self.encodings[name], dtype) if name in self.encodings else None
        return ModelPort(name, values.shape[1:], dtype, step)


def rank_files(options: argparse.Namespace, files: Sequence[Path]) -> tuple[list[list[Ranked]], Detector | None]:
    """The best classes or boxes of every image, and the detector; raises ``ClientError`` with the service's reason."""
    _check(options)
    with _client(options) as client:
        labels = score_detectors.labels_of(options.labels) or client.labels()
        answers = [{name: values[np.newaxis] for name, values in client.score_file(file).items()} for file in files]
        shape = client.input_shape()
        shapes = {name: values.shape for name, values in answers[0].items()} if answers else {}
        detector = score_detectors.detector_of(options, shapes, shape) if answers else None
        served = _Served(shape, labels, client.recipe() if detector else None, client.encodings())
    return [_ranked(answer, options, file, served, detector) for file, answer in zip(files, answers, strict=True)], detector


def _check(options: argparse.Namespace) -> None:
    if options.service and options.address:
        raise InputError("--service and --address: give one of them")
    unused = ("preprocess", "features", "config", "head", "waves")
    if given := [f"--{name}" for name in unused if getattr(options, name) is not None]:
        raise InputError(f"{given[0]}: a service has its own model and preprocessing; leave it out")
    if options.workers is not None or options.ray is not None:
        raise InputError("--workers, --ray: a service runs the images itself, on its replicas; leave them out")
    if import_options(options) != DEFAULT_OPTIONS:
        raise InputError("--no-host, --host-tail, --insert-rounding: a service's model is already compiled; leave them out")


def _client(options: argparse.Namespace) -> "PredictionClient":
    from arrayloom.host.serving.client import PredictionClient, client_from_service

    more: dict[str, Any] = {"server_name": options.server_name}
    if options.root_certificates:
        more["root_certificates"] = options.root_certificates
    if options.service:
        from arrayloom.host.cli.artifact_commands import open_workspace
        from arrayloom.host.workspace.webservice import Webservice

        return client_from_service(Webservice(open_workspace(options), options.service), **more)
    host, separator, port = options.address.rpartition(":")
    if separator and not port.isdigit():
        raise InputError(f"--address {options.address}: the port must be a number, as in 127.0.0.1:{DEFAULT_PORT}")
    host, number = (host, int(port)) if separator else (options.address, DEFAULT_PORT)
    return PredictionClient(host.strip("[]"), number, options.tls, os.environ.get(KEY_VARIABLE), **more)


def _ranked(outputs: dict[str, Any], options: argparse.Namespace, file: Path, served: _Served,
            detector: Detector | None) -> list[Ranked]:
    if detector is None and len(outputs) != 1:
        raise InputError(f"the model has {len(outputs)} outputs ({', '.join(outputs)}), neither classes nor boxes; "
                         "use PredictionClient.score_file")
    if detector is not None and served.recipe is None:
        raise InputError("the service does not report how it preprocesses images, so boxes cannot be placed; use "
                         "PredictionClient.score_file and arrayloom.host.vision.detection.find_boxes")
    detection = score_detectors.detection(options, detector, file, served.shape, served.recipe)
    ports = [served.port(name, values) for name, values in outputs.items()]
    return rank_outputs(outputs, ports, options.top, served.labels, options.threshold, detection)[0]
