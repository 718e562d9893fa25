"""The root of every error that a user of Arrayloom can cause."""


class ArrayloomError(Exception):
    """Base of every error a user of Arrayloom can cause: bad input, bad file, missing tool."""


class ConfigError(ArrayloomError):
    """No accelerator can be built from a configuration."""


class EncodingError(ArrayloomError):
    """A field, an instruction or a program does not fit its binary or text form."""
