"""Patch databases: what decoding retrieves from."""
