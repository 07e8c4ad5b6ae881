"""Databases on other machines: over HTTP, and over actors of a Ray cluster, both behind `protocol.Database`."""
