"""A program in segments that run side by side, each checked against the emulator, their cycles put together exactly."""
