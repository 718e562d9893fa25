"""What a user touches: sessions on devices, preprocessing, and the command line."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host.session import Session

__all__ = ["Session"]


def __getattr__(name: str) -> Any:
    """``Session`` on first use: its imports take longer than many a command."""
    if name == "Session":
        from host.session import Session

        return Session
    raise AttributeError(f"module 'host' has no attribute {name!r}")
