"""Processes that tests interrupt."""

import signal


def hear_interrupts() -> None:
    """``preexec_fn`` of such a process: processes started in the background by a shell, including tests, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
