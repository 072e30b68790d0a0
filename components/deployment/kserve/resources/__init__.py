"""Resources of an endpoint as plain data: settings, InferenceService, InferenceGraph, status."""
