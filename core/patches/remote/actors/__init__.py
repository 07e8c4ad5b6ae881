"""A database over the actors of a Ray cluster; nothing outside of this folder imports ray."""
