"""Several processes that train one model: their roles, strategy, agreement and end."""
