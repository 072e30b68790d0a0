"""The gRPC interface: KServe's inference service and the standard health check."""
