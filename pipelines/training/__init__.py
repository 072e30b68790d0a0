"""The training pipeline: `pipeline.training_pipeline` for KFP, `definition.TRAINING`."""
