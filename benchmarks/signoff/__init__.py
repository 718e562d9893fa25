"""The sign-off table of the hardware: every line is a command, and what it found."""
