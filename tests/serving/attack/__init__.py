"""Attacks on a real server process, with probes and good load beside them.

`attacked` in `conftest.py` starts a server with options; `served.py` watches it.
"""
