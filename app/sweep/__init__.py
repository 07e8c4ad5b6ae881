"""A grid of small pictures over two settings, as a Gradio component and its script."""
