"""Exact search in databases of millions to billions of entries: contexts in two orders, in files that are mapped."""
