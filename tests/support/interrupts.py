"""Processes that tests interrupt."""

import signal


def hear_interrupts() -> None:
    """``preexec_fn`` of such a process: what a shell starts in the background, tests too, has SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
