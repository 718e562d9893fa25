"""Small networks on random weights as other tools write them: one script for each tool, run in that tool's environment."""
