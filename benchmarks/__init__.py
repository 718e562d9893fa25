"""The commands that measure the documents' figures; each prints JSON with machine, versions and date."""
