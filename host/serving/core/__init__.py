"""The service: bundles on devices, behind TensorFlow Serving's and the Open Inference Protocol's interfaces."""
