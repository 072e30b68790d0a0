"""What a model has learned: importance and dependence of its inputs, thresholds and gain."""
