"""The accelerator as a backend of ONNX: `onnx.backend.base.Backend`.

    from host.onnx_backend import WeftBackend
    outputs = WeftBackend.prepare(model, "CPU").run([image])

Devices: ``CPU`` is the emulator, ``RTL`` the simulated hardware.
"""

from host.onnx_backend.backend import WeftBackend
from host.onnx_backend.prepared import Prepared

__all__ = ["Prepared", "WeftBackend"]
