"""gRPC's server reflection."""
