"""Processes that tests interrupt."""

import signal


def hear_interrupts() -> None:
    """``preexec_fn`` of such a process: restores SIGINT, which shells ignore in background processes, tests included."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
