"""Runs a measurement in a separate process, to measure its peak memory alone."""

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
    """The result of the module-level ``function`` in a fresh process, and the peak memory in bytes.

    The peak is the largest resident set of any single process, including child processes. ``variables`` are
    set in the process's environment.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, function, arguments, dict(variables or {})).result()


def _measured(function: Callable[..., Result], arguments: tuple[Any, ...], variables: dict[str, str]) -> tuple[Result, int]:
    os.environ.update(variables)
    result = function(*arguments)
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return result, max(peaks) * KIB
