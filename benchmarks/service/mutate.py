"""Almost valid requests: bytes and JSON values of valid ones, changed at random from a seed."""

import copy
import json
import random
from typing import Any

ODD_NUMBERS = (0, 1, -1, 2**31 - 1, -2**31, 2**32, 2**53 + 1, 2**63 - 1, -2**63, 2**64, 10**400, 0.1, -0.0, 1e308, 1e-320,
               float("nan"), float("inf"), -float("inf"))
ODD_TEXTS = ("", "0", "a" * 3000, "image:0", ":0", "../../etc/passwd", "\x00", "\ud800", "Ω", "%s%n", "{}", "digits", "true")
VARINTS = (b"\x00", b"\x7f", b"\xff\x01", b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x01", b"\xff" * 11)


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One to four changes of bytes: flipped, removed, duplicated, inserted, truncated, or taken from another message."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        result = bytearray(_changed(bytes(result), others, rng))
    return bytes(result)


def _changed(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    match rng.randrange(8):
        case 0 if data:
            bit = rng.randrange(8 * len(data))
            return data[:bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1:]
        case 1:
            return data[:at] + data[end:]
        case 2:
            return data[:end] + data[at:end] * rng.randint(1, 3) + data[end:]
        case 3:
            return data[:at] + rng.randbytes(rng.randint(1, 16)) + data[at:]
        case 4:
            return data[:at]
        case 5:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            return data[:at] + other[start:start + rng.randint(0, 200)] + data[end:]
        case 6:
            return data[:at] + rng.choice(VARINTS) + data[at + rng.randint(0, 2):]
        case _:
            return data + rng.choice(others)


def mutated_json(value: Any, rng: random.Random) -> bytes:
    """One to three values replaced, removed, duplicated or nested; sometimes bytes are changed too."""
    result = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        result = _replaced(result, rng)
    try:
        text = json.dumps(result).encode("utf-8", "surrogatepass")
    except ValueError:      # an integer with more digits than Python converts to text
        text = json.dumps(value).encode()
    return mutated(text, [text], rng) if rng.random() < 0.2 else text


def _replaced(value: Any, rng: random.Random) -> Any:
    """Changes a random value inside; at each level, the descent stops with the same probability."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        name = rng.choice(sorted(value))
        changed = dict(value)
        match rng.randrange(6):
            case 0:
                del changed[name]
            case 1:
                changed[rng.choice(ODD_TEXTS)] = changed.pop(name)
            case _:
                changed[name] = _replaced(value[name], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.8:
        index = rng.randrange(len(value))
        match rng.randrange(6):
            case 0:
                return value[:index] + value[index + 1:]
            case 1:
                return value + value[:index + 1]
            case _:
                return [*value[:index], _replaced(value[index], rng), *value[index + 1:]]
    return _odd(value, rng)


def _odd(value: Any, rng: random.Random) -> Any:
    deep: Any = value
    for _ in range(rng.choice((1, 3, 40))):
        deep = [deep]
    return rng.choice([rng.choice(ODD_NUMBERS), rng.choice(ODD_TEXTS), None, True, False, {}, [], deep, {"b64": "AAAA"},
                       {"b64": rng.choice(ODD_TEXTS)}, {"x": value}])
