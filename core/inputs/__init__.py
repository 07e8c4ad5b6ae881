"""What comes from outside: checked here, at the edge, before anything is made of it."""
