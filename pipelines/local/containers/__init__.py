"""Containers for tasks: the engine, what a container may see, and the runner that starts them."""
