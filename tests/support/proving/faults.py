"""Faults planted in the source of a function, with which a proof must fail."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """A change to the source of a function or method.

    Attributes
    ----------
    name
        The fault, in a few words.
    function
        A function of the hardware, or of the library that it uses.
    old
        A piece of its source that occurs exactly once.
    new
        The replacement.
    """

    name: str
    function: Callable[..., Any]
    old: str
    new: str

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The function has the fault within the context, for all callers. Raises ``ValueError`` if it cannot be planted."""
        function: Any = self.function
        sound = function.__code__
        function.__code__ = self._changed()
        try:
            yield
        finally:
            function.__code__ = sound

    def _changed(self) -> Any:
        function: Any = self.function
        source = textwrap.dedent(inspect.getsource(function))
        if source.count(self.old) != 1:
            raise ValueError(f"fault {self.name!r}: {self.old!r} stands {source.count(self.old)} times in "
                             f"{function.__qualname__}; choose a piece that stands there once")
        made: dict[str, Any] = {}
        exec(compile(source.replace(self.old, self.new), f"<{self.name}>", "exec"), function.__globals__, made)
        code = getattr(made[function.__name__], "__func__", made[function.__name__]).__code__
        if code.co_freevars != function.__code__.co_freevars:
            raise ValueError(f"fault {self.name!r}: {function.__qualname__} uses names of a function around it")
        return code
