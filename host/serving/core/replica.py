"""A replica: a process that holds one device, loads one model at a time, and runs what it is sent.

``python -m arrayloom.host.serving.core.replica FD BACKEND MAX_PIXELS THREADS`` is started by the service, which holds the
other end of socket FD. Images are decoded here, so a malicious file can crash only one replica.
"""

import io
import json
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from arrayloom.compiler.cost import predict
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.host_parts import join_images
from arrayloom.host.runtime.planned import PlannedDevice
from arrayloom.host.runtime.report import RunReport, total
from arrayloom.host.runtime.session import Session
from arrayloom.host.serving import Bundle
from arrayloom.host.serving.core.frames import Block, describe, receive_blocking, restore, send_blocking
from arrayloom.host.serving.core.memory import trim
from arrayloom.host.serving.errors import CancelledError, ClosedError
from arrayloom.host.vision import MAX_PIXELS, ImageError, RecipeError, preprocess
from arrayloom.host.vision.errors import DetectionError, LabelError
from arrayloom.isa.errors import ArrayloomError

Array = NDArray[Any]
Answer = tuple[dict[str, Any], list[Block]]


class Replica:
    """One device and the model on it.

    ``cancelled``: whether the service has cancelled the run; checked between images and between the steps of a plan.
    """

    def __init__(self, backend: str, max_pixels: int, cancelled: Callable[[], bool], threads: int = 1) -> None:
        self._backend, self._max_pixels, self._cancelled, self._threads = backend, max_pixels, cancelled, threads
        self._session: Session | None = None
        self._bundle: Bundle | None = None
        self._key = ""
        self._cycles: int | None = None
        self._together = False      # whether the images of a batch run together

    def handle(self, header: dict[str, Any], blocks: list[memoryview]) -> Answer:
        """Answers one frame; errors that a user can cause are answered with their kind."""
        try:
            return self._load(header) if header["op"] == "load" else self._run(header, blocks)
        except CancelledError:
            return {"error": "DEADLINE", "message": "the run was cancelled"}, []
        except (InputError, ImageError, RecipeError, DetectionError, LabelError) as error:
            return {"error": "INVALID", "message": str(error)}, []
        except ArrayloomError as error:
            return {"error": "UNAVAILABLE" if header["op"] == "load" else "INTERNAL", "message": str(error)}, []
        except Exception as error:      # not even a bug met by forged data may unload the device's model
            kind = "MemoryError, the image or model is too large" if isinstance(error, MemoryError) else type(error).__name__
            _log("replica_failure", "error", request_id=header.get("request_id", ""),
                 traceback=traceback.format_exc()[-2000:])
            return {"error": "INTERNAL", "message": f"unexpected {kind}; see the service's log"}, []

    def _load(self, header: dict[str, Any]) -> Answer:
        if self._session is not None:
            self._session.close()
        self._session, self._bundle, self._key = None, None, ""
        begin = time.perf_counter()
        bundle = Bundle.load(Path(header["folder"]))
        config = bundle.program.configuration
        self._session = Session(bundle.program, config, device=open_device(self._backend, config, threads=self._threads))
        self._together = self._session.prepare()
        if isinstance(self._session.device, PlannedDevice) and not self._together:
            _log("no_plan", "warning", model=f"{bundle.name}:{bundle.version}", message="the model runs instruction by "
                 f"instruction, many times slower, since it has no plan: {self._session.device.reason}")
        self._bundle, self._key = bundle, f"{bundle.name}:{bundle.version}"
        # a backend without a clock reports the cycles that the cost model predicts
        self._cycles = None if self._backend == "rtl" else predict(bundle.program, config).cycles
        trim()      # making a plan needs several times the memory that it holds
        return {"model": self._key, "seconds": time.perf_counter() - begin}, []

    def _run(self, header: dict[str, Any], blocks: list[memoryview]) -> Answer:
        if self._session is None or self._bundle is None or header["model"] != self._key:
            return {"error": "UNAVAILABLE", "message": f"the device holds {self._key or 'nothing'}"}, []
        begin = time.perf_counter()
        inputs = self._preprocess(blocks) if header["encoded"] else restore(header["inputs"], blocks)
        decoded = time.perf_counter()
        outputs, report = self._execute(self._session, inputs)
        end = time.perf_counter()
        count = len(next(iter(inputs.values())))
        seen = None
        if header.get("look"):
            from arrayloom.host.serving.core.looking import look  # few clients ask for it, and each replica starts sooner

            seen = look(self._bundle, bytes(blocks[0]), outputs)
        entries, content = describe({name: outputs[name] for name in header["outputs"]})
        cycles = report.cycles if self._cycles is None else self._cycles * count
        return {"model": self._key, "outputs": entries, "images": count, "preprocess_seconds": decoded - begin,
                "device_seconds": end - decoded, "cycles": cycles, "macs": report.macs,
                "multipliers": report.multipliers, "seen": seen}, content

    def _execute(self, session: Session, inputs: dict[str, Array]) -> tuple[dict[str, Array], RunReport]:
        """Runs all images together if the device can (cancellable between steps), else one by one."""
        if self._together:
            self._go_on()
            return session.run(inputs, lambda _: self._go_on()), session.report
        outputs, reports = [], []
        for index in range(len(next(iter(inputs.values())))):
            self._go_on()
            outputs.append(session.run({name: values[index:index + 1] for name, values in inputs.items()}))
            reports.append(session.report)
        whole = outputs[0] if len(outputs) == 1 else join_images(outputs, session.program.model_outputs)
        return whole, total(reports)

    def _go_on(self) -> None:
        """Raises ``CancelledError`` if the service has cancelled the run."""
        if self._cancelled():
            raise CancelledError

    def _preprocess(self, blocks: list[memoryview]) -> dict[str, Array]:
        assert self._bundle is not None
        assert self._bundle.recipe is not None
        port = self._bundle.program.model_inputs[0]
        encode = port.encoding.apply if port.encoding else None
        tensors = []
        for index, block in enumerate(blocks):
            self._go_on()
            data = bytes(block)
            try:
                self._check_pixels(data)
                tensors.append(preprocess(data, self._bundle.recipe, ("N", *port.shape), port.dtype, encode))
            except ImageError as error:
                which = f"image {index} of {len(blocks)}, counted from 0: " if len(blocks) > 1 else ""
                raise ImageError(f"{which}{error}") from error
        return {port.name: np.concatenate(tensors)}

    def _check_pixels(self, data: bytes) -> None:
        """Checks the size in the header, before anything is decompressed."""
        try:
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "BMP")) as image:
                pixels = image.width * image.height
        except Image.DecompressionBombError:
            pixels = MAX_PIXELS + 1
        except Exception:
            return      # preprocessing reports what is wrong with it
        if pixels > self._max_pixels:
            raise ImageError(f"image of {len(data)} bytes: its pixels are more than the {self._max_pixels:,} accepted; "
                             "scale it down first")


def _log(event: str, level: str, **facts: str) -> None:
    """Writes one line to the service's log, which is the replica's standard error."""
    print(json.dumps({"event": event, "level": level, **facts}), file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    """Serves frames until the service goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # the service handles Ctrl-C and lets replicas finish
    connection = socket.socket(fileno=int(arguments[0]))
    more = select.poll()
    more.register(connection, select.POLLIN)
    replica = Replica(arguments[1], int(arguments[2]), lambda: bool(more.poll(0)), int(arguments[3]))
    try:
        while True:
            header, blocks = receive_blocking(connection)
            if header["op"] == "cancel":        # a late cancellation of a run that has already ended
                continue
            send_blocking(connection, *replica.handle(header, blocks))
    except ClosedError:
        return


if __name__ == "__main__":
    main(sys.argv[1:])
