"""Server processes: kept by a lock, found by a ready file, probed over HTTP."""
