"""What can go wrong when a program runs."""

from arrayloom.isa.errors import ArrayloomError


class InputError(ArrayloomError):
    """An input does not fit the model; the text names the input, what was given and what is expected."""


class DeviceError(ArrayloomError):
    """A device does not exist, or a run failed; the text has the device's reason."""


class BoardError(DeviceError):
    """A board cannot be reached or is unsuitable; the text names the port and the remedy."""


class RunError(DeviceError):
    """The accelerator ended a run with an error; the text holds the cause and the state of every unit and queue."""


class SessionBusyError(DeviceError):
    """Two threads used one session at the same time."""
