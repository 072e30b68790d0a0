"""The inference protocols v1 and v2: routes, request errors, and how tensors are encoded.

Knows the model's inputs and outputs (`model_interface`), but nothing of TensorFlow, HTTP or gRPC
servers.
"""
