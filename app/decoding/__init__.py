"""Where pictures are drawn for all visitors: jobs, what waits for what, and the process that runs the models."""
