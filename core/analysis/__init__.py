"""What a trace tells: pure functions of traces, in numpy."""
