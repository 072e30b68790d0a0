"""Training jobs as Kubernetes resources: settings, pure builders, and what a status means.

The three kinds have the same functions: `build` gives the resource, `template` the same without
name and namespace (for Katib), `judge` reads a status, and `pod_selector` and `chief_selector` find
the pods.
"""
