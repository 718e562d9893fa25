"""What a user touches: sessions on devices, preprocessing, services, and the command line."""
