"""Reads dataclasses and other typed values from JSON; a value that does not match its annotation is refused by name."""

import dataclasses
import functools
import math
import reprlib
from collections.abc import Mapping
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from arrayloom.isa.errors import EncodingError

INTEGERS = range(-1 << 63, 1 << 63)     # range of numpy's integers and of the registers
BytesType = Annotated[str, "uint8", "int8"]     # the dtypes of the device


def read(kind: Any, value: Any, where: str) -> Any:
    """``value`` from JSON as ``kind``, the annotation of a field.

    Parameters
    ----------
    kind : type
        ``int``, ``float``, ``str``, an annotated ``str`` with the texts that are allowed, a ``StrEnum``, a dataclass,
        a class whose ``from_json(value, where)`` reads it, or a list, tuple, dict or optional of these.
    value : object
        The value from JSON; an integer is accepted as ``float`` too.
    where : str
        Description of the value, for messages.

    Raises
    ------
    EncodingError
        The value is of another type, a number is not finite or beyond 64 bits, or a dataclass's field is unknown or missing.
    """
    if _plain(kind, value):
        return value
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        content = next(part for part in parts if part is not NoneType)
        return None if value is None else read(content, value, where)
    if origin in (list, tuple):
        return _sequence(origin, parts, value, where)
    if origin is dict:
        return {name: read(parts[1], item, f"{where}: {name!r}") for name, item in mapping(value, where).items()}
    if maker := getattr(kind, "from_json", None):
        return maker(value, where)
    if dataclasses.is_dataclass(kind):
        return record(kind, mapping(value, where), where)
    wanted, legal = _scalar(kind, value)
    if not legal:
        raise EncodingError(f"{where} is {reprlib.repr(value)}, not {wanted}")
    return (get_args(kind)[0] if origin is Annotated else kind)(value)


def record(kind: Any, given: Mapping[str, Any], where: str, **made: Any) -> Any:
    """The dataclass ``kind`` from the fields ``given`` in JSON and those already ``made``.

    Raises ``EncodingError`` like ``read``.
    """
    kinds = {name: part for name, part in _fields(kind).items() if name not in made}
    if unknown := sorted(given.keys() - kinds.keys()):
        raise EncodingError(f"{where}: field {unknown[0]!r} is unknown; its fields are {', '.join(kinds)}")
    if missing := [name for name in kinds if name not in given]:
        raise EncodingError(f"{where}: field {missing[0]!r} is missing")
    return kind(**made, **{name: read(part, given[name], f"{where}: field {name!r}") for name, part in kinds.items()})


@functools.cache
def _fields(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {item.name: hints[item.name] for item in dataclasses.fields(kind)}


@functools.cache
def _choices(kind: Any) -> tuple[str, ...]:
    """The texts allowed by a ``StrEnum`` or an annotated ``str``."""
    return tuple(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else get_args(kind)[1:]


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """Returns ``value`` if it is a JSON object; raises ``EncodingError`` otherwise."""
    if not isinstance(value, Mapping):
        raise EncodingError(f"{where} is {reprlib.repr(value)}, not an object")
    return value


def _sequence(origin: Any, parts: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, list | tuple):
        raise EncodingError(f"{where} is {reprlib.repr(value)}, not {_list_of(parts)}")
    if origin is list or parts[-1] is Ellipsis:
        kinds = (parts[0],) * len(value)
    elif len(value) == len(parts):
        kinds = parts
    else:
        raise EncodingError(f"{where} is {reprlib.repr(value)}, not {len(parts)} values")
    if kinds and kinds[0] is int and not all(_plain(int, item) for item in value):
        raise EncodingError(f"{where} is {reprlib.repr(list(value))}, not {_list_of(parts)}")
    return origin(item if _plain(kind, item) else read(kind, item, f"{where}[{index}]")
                  for index, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _plain(kind: Any, value: Any) -> bool:
    """Whether a value is an expected integer: a fast path, since nearly all values of a program's header are."""
    return kind is int and type(value) is int and value in INTEGERS


def _list_of(parts: tuple[Any, ...]) -> str:
    return "a list of integers" if parts[0] is int else "a list"


def _scalar(kind: Any, value: Any) -> tuple[str, bool]:
    """Describes ``kind`` in words, and checks whether ``value`` is one. A text with a lone surrogate is not: JSON can
    contain it, but it cannot be written."""
    whole = isinstance(value, int) and not isinstance(value, bool) and value in INTEGERS
    if kind is int:
        return "an integer of 64 bits", whole
    if kind is float:
        return "a number", whole or (isinstance(value, float) and math.isfinite(value))
    if kind is str:
        return "a text", isinstance(value, str) and (
            value.isascii() or not any(0xD800 <= ord(letter) < 0xE000 for letter in value))
    choices = _choices(kind)
    return " or ".join(repr(str(choice)) for choice in choices), isinstance(value, str) and value in choices

