"""The share of each port in the files that the process may open; without shares, one port could use them all up."""

import resource

OWN = 64        # files of the service itself: sockets of replicas and readers, logs, certificates
LEAST = 8       # connections of a port, however few files there are


def http_connections() -> int:
    """Returns the most open connections of an HTTP port: half of the files."""
    return max(LEAST, _files() // 2)


def grpc_connections() -> int:
    """Returns the most open connections of the gRPC port: the other half, without the files of the service itself."""
    return max(LEAST, _files() // 2 - OWN)


def _files() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
