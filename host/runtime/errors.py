"""What can go wrong when a program runs."""

from arrayloom.isa.errors import ArrayloomError


class InputError(ArrayloomError):
    """An input that the model does not take; names the input, what was given and what is wanted."""


class DeviceError(ArrayloomError):
    """A device that does not exist or a run that failed, with the cause that the device gives."""


class BoardError(DeviceError):
    """A board that cannot be reached, or does not hold what is asked of it; names the port and the remedy."""


class RunError(DeviceError):
    """The accelerator ended a run with an error; the text holds the cause and the state of every unit and queue."""


class SessionBusyError(DeviceError):
    """Two threads ran one session at the same moment."""
