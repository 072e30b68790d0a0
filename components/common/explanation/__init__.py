"""Explanations of single predictions: how much each raw feature moved one away from a baseline.

`Explainer` is the door: integrated gradients where the model is smooth, Shapley values elsewhere.
"""
