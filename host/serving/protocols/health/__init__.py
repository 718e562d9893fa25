"""gRPC's standard health check."""
