"""A folder that can be pushed to a Gradio Space as it is: `python -m app.space FOLDER`."""
