"""The commands of the command line: one file each for what may be said, and work/ for what is then done."""
