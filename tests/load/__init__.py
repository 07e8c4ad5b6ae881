"""How the page serves many at once: `python -m tests.load` (`make load`) sends visitors who check what they get."""
