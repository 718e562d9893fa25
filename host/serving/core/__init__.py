"""The service itself: models on devices, the queue, replicas, keys, limits, and the servers for all protocols."""
