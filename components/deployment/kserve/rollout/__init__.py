"""Rollout strategies: `direct`, `canary` and `blue_green`, under the endpoint's lock."""
