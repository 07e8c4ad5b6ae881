"""The stage: the first screen, a finished example that is there before any model is loaded."""
