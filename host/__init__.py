"""The user's interfaces: sessions on devices, preprocessing, services, and the command line."""
