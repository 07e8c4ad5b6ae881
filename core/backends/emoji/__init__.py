"""The embedded model and its parts."""
