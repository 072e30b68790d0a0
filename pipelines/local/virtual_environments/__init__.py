"""Tasks in virtual environments instead of images, with preloaded interpreters."""
