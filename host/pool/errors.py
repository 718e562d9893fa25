"""What can go wrong when work is spread over processes and machines."""

from arrayloom.isa.errors import ArrayloomError


class PoolError(ArrayloomError):
    """Workers cannot be started, or a value cannot be sent to them; the text names the option, the reason and a remedy."""


class WorkerLostError(PoolError):
    """The workers of a task ended repeatedly before it was done; the text names the task and how the last one ended."""


class TaskError(PoolError):
    """A task raised an exception that cannot be pickled; the text names the task, the exception's type and its text."""
