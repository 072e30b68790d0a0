"""The model server: what runs inside the endpoint, `python -m kfp_tabular.serving`.

Each folder imports only those above it:

    settings   protocol
    auth       metrics
    model
    http       grpc
    process
"""
