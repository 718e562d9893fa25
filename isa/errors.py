"""The root of every error that a user of Weft can cause."""


class WeftError(Exception):
    """Base of every error a user of Weft can cause: bad input, bad file, missing tool."""


class ConfigError(WeftError):
    """A configuration that no accelerator can be built from."""


class EncodingError(WeftError):
    """A field, an instruction or a program that does not fit its binary or text form."""
