"""Models: the five networks, digits, quantization, heads, and scores of images."""
