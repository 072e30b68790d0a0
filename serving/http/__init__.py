"""The HTTP interface: an ASGI application, its handlers, and HTTP/1.1 with limits."""
