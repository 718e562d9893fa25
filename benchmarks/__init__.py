"""The commands behind the figures of the documents; each prints JSON with machine, versions and date."""
