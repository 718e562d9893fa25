"""Small networks with random weights, written by other tools: one script per tool, run in that tool's environment."""
