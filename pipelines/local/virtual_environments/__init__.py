"""Virtual environments that stand in for images, and preloaded interpreters for their tasks."""
