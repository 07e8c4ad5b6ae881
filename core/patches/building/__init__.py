"""Databases from pictures of any number: sources, captions, parts that are encoded anywhere, what is made of them."""
