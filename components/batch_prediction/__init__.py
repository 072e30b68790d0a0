"""Batch prediction: a model's predictions for whole data sets, with the checks of the endpoint.

A map: a piece of the data becomes a shard of the predictions.
"""
