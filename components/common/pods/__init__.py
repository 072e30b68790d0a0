"""Pod settings that configuration documents share: what a task, a job or an endpoint asks of a pod.

`pod_settings` holds the keys that all of these documents have. The other modules hold one kind of
value each, with its checks and, where a pod shows it, as Kubernetes writes it.
"""
