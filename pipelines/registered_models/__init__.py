"""What `kfp-tabular models` shows of registered models, and how it deploys them again."""
