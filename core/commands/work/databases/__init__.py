"""What the actions of `database` do."""
