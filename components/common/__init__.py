"""What every component shares: artifacts on disk, storage, errors, lineage."""
