"""From an ONNX model to the instructions of the accelerator."""
