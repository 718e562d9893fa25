"""Running programs: sessions, devices, verification."""
