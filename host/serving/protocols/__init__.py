"""The messages that clients and server exchange, compatible with the public protocols by their field numbers.

The messages live in a pool of our own, so that the official packages of the same protocols can be imported beside them.
"""
