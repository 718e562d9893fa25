"""The project's prose: where it is, seeded samples of it for a reader, and the words that it avoids."""
