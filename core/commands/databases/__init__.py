"""The actions of `database`: what each is called, what it takes, and where it is done; nothing heavy is imported."""
