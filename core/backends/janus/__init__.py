"""Janus-Pro and its parts."""
