"""The server's processes: start, worker supervision, logging, sockets and graceful shutdown."""
