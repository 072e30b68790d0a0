"""Why a pod failed or does not start, read from its status."""
