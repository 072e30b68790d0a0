"""The batch prediction pipeline: `pipeline.batch_prediction_pipeline` for KFP."""
