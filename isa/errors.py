"""The root of every error that a user of Arrayloom can cause."""


class ArrayloomError(Exception):
    """Base of every error a user of Arrayloom can cause: bad input, bad file, missing tool."""


class ConfigError(ArrayloomError):
    """A configuration that no accelerator can be built from."""


class EncodingError(ArrayloomError):
    """A field, an instruction or a program that does not fit its binary or text form."""
