"""The protocols of a service: each has a folder of its own and an entry in the registry."""
