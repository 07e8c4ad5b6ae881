"""The rail: the runs of a visit, always in sight: to open, name, compare and delete them."""
