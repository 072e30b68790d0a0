"""Artifacts as a person looks at them: what is in one, here or in an object store."""
