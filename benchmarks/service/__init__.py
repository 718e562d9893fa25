"""What a service is attacked and loaded with, for its benchmarks and tests."""
