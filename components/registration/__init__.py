"""Registration of a trained model as a version that a registry knows, with its documents."""
