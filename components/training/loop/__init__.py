"""The training loop: schedule, steps, evaluations, early stopping and checkpoints."""
