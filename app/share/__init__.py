"""What of a run can be passed on: its link, its files, its figures, and the words for a figure."""
