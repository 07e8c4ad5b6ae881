"""Calls that nobody should make: `python -m tests.abuse` (`make abuse`) makes thousands, and looks at what comes."""
