"""The client-side stepper: a Gradio component whose behaviour is in the modules of this folder."""
