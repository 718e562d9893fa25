"""The accelerator as a backend of ONNX: `onnx.backend.base.Backend`.

    from arrayloom.host.runtime.onnx_backend import ArrayloomBackend
    outputs = ArrayloomBackend.prepare(model, "CPU").run([image])

Devices: ``CPU`` is the emulator, ``RTL`` the simulated hardware.
"""

from arrayloom.host.runtime.onnx_backend.backend import ArrayloomBackend, Prepared

__all__ = ["ArrayloomBackend", "Prepared"]
