"""Serve a page over the fake model as app.py does, until it is asked to end.

Usage: python -m tests.app.ended PORT SECONDS_PER_CODE [ROOT_PATH]
"""

from __future__ import annotations

import os
import sys

from app import logs
from app.command_line import Options, settle
from tests.app.fake import FakeBackend

if __name__ == "__main__":
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    options = Options("127.0.0.1", int(sys.argv[1]), root_path="".join(sys.argv[3:]))
    settle(os.environ, options)
    from app import ui  # Gradio reads the environment when it is imported
    from tests.app.serving import usual

    ui.is_drawn_by = lambda library: True  # the fake stands for the models that ship, whose first screen is the example
    with logs.kept("json"):
        ui.serve(usual(FakeBackend(float(sys.argv[2]))), options)
