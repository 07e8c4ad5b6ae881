"""Version 2 of a patch database on disk: a folder of immutable segments under one manifest. See docs/database.md."""
