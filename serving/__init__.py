"""What runs inside the endpoint."""
