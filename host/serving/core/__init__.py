"""The service itself: models on devices, the queue, replicas, keys, limits, and servers for any protocol."""
