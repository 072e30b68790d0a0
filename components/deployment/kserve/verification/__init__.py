"""Verification of a candidate: golden requests over HTTP, measured against bounds."""
