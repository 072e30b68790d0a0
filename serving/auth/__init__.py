"""Authentication: keys from a mounted secret, with the same rules for HTTP and gRPC."""
