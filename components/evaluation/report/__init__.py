"""What an evaluation leaves: `evaluation.json`, its HTML page, and metrics for the KFP UI."""
