"""The formats of a trained network, by the suffixes of their files."""

SUFFIX = ".safetensors"  # for evornn itself
FORMATS = {
    ".onnx": "ONNX, for onnxruntime and others",
    ".py": "a Python module that needs torch alone",
    ".c": "C99 without a heap, for small devices",
    ".json": "equation and weights by name",
}
