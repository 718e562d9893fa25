"""What the reader of ``.proto`` files does not understand, it refuses."""

import pytest

from arrayloom.host.serving.errors import SchemaError
from arrayloom.host.serving.protocols import schema


def test_schemas_that_are_not_understood() -> None:
    for text in ("import x;", "message A { int32 b 1; }", 'syntax = "proto2";'):
        with pytest.raises(SchemaError):
            schema._Reader(text).read("x.proto")
