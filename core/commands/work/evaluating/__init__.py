"""What the commands behind `evaluate` do with suites; imported when it is done."""
