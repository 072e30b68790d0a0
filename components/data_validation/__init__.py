"""Statistics, schema and anomalies of examples (TFDV)."""
