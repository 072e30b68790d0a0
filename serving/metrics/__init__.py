"""What the endpoint counts and measures, for Prometheus."""
