"""The validation pipeline: `pipeline.validation_pipeline` for KFP, `definition.VALIDATION`."""
