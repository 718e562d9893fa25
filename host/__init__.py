"""What a user touches: preprocessing, devices, sessions, networks and the command line."""
