"""Backend `local`: publishes a verified model into a repository on a file system."""
