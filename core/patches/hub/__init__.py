"""Databases as dataset repositories of the Hugging Face hub: their names, how they come and go, and their cards."""
