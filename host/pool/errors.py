"""What can go wrong when work is spread over processes and machines."""

from arrayloom.isa.errors import ArrayloomError


class PoolError(ArrayloomError):
    """Workers that cannot be had, or what cannot be sent to them; names the option, the reason and a remedy."""


class WorkerLostError(PoolError):
    """A task whose worker ended again and again before the task did; names the task and how the last one ended."""


class TaskError(PoolError):
    """An exception of a task that cannot be sent as it is; names the task, the exception's type and its text."""
