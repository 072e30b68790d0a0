"""What a local run leaves for readers: `summary.json` and `report.html`."""
