"""The sign-off table of the hardware: every line is a command with its result."""
