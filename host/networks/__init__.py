"""Networks that come with Weft."""
