"""Access to the Kubernetes API: objects, watches and logs, with retries and clear errors.

`api.connect` returns an `Api`; `kinds` holds the kinds of resources, `errors` what can go wrong.
"""
