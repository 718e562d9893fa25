"""Attacks on and load for a service, for its benchmarks and tests."""
