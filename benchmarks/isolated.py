"""A measurement in a process of its own, so that its peak of memory is its own."""

import multiprocessing
import os
import resource
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")
KIB = 1024


def isolated(function: Callable[..., Result], *arguments: Any,
             variables: Mapping[str, str] | None = None) -> tuple[Result, int]:
    """What ``function``, of a module, returns in a fresh process, and the peak of memory in bytes.

    The peak is the largest resident set of any one process, those that the function starts included. ``variables`` are
    set in the process's environment.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, function, arguments, dict(variables or {})).result()


def _measured(function: Callable[..., Result], arguments: tuple[Any, ...], variables: dict[str, str]) -> tuple[Result, int]:
    os.environ.update(variables)
    result = function(*arguments)
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return result, max(peaks) * KIB
