"""The models that a training tries, and the one that it keeps.

`candidate_plan` decides which ones are tried, `network` trains a network, and `choice` keeps the
best of them on the eval split.
"""
