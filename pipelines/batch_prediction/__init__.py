"""The batch prediction pipeline: `pipeline.batch_prediction_pipeline`, `definition.BATCH_PREDICTION`."""
