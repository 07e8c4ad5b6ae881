"""Runs side by side on the client, and the shelf that they are chosen from: two Gradio components and their scripts."""
