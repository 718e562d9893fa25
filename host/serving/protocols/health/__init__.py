"""The health protocol of gRPC."""
