"""The images that tasks run in.

Locally, the last part of an image's name is also the name of its virtual environment.
"""

import importlib.metadata

REGISTRY = "ghcr.io/kfp-tabular"
TAG = importlib.metadata.version("kfp-tabular")

TENSORFLOW = f"{REGISTRY}/tensorflow:{TAG}"
TFDV = f"{REGISTRY}/tfdv:{TAG}"
LAUNCHER = f"{REGISTRY}/launcher:{TAG}"
SERVING = f"{REGISTRY}/serving:{TAG}"
