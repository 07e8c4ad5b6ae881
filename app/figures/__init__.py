"""Pictures to be shared: one position of a run, and several runs side by side, with their labels in them."""
