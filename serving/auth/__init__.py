"""Who may ask: keys from a mounted secret, and the same rules for REST and gRPC."""
