"""What the commands do; imported when it is done."""
