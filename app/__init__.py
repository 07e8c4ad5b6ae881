"""The page: what a visitor sees and does; everything it shows is computed in `core`."""
